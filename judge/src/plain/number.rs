//! Exact numbers: ints of any size, and floats as `float.hex()` writes them.

use std::fmt::Write as _;

/// Longest int, in digits of either base. Conversion from decimal is
/// quadratic; this many digits take milliseconds.
const MAX_DIGITS: usize = 100_000;

/// An int of any size, in one normal form: equal numbers are equal values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Int {
    /// What fits.
    Small(i64),
    /// What does not.
    Big {
        /// Whether it is below zero.
        negative: bool,
        /// Its magnitude, in lower-case hexadecimal without leading zeros.
        hex: String,
    },
}

impl Int {
    /// From `-?0x[0-9a-f]+`, as Python's `hex` writes it. No bound on length:
    /// the text is already there, and reading it is linear.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let (negative, text) = sign(text);
        let digits = text.strip_prefix("0x")?;
        let sound = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        (!digits.is_empty() && digits.bytes().all(sound)).then(|| Self::normal(negative, digits))
    }

    /// The nearest double or one beside it, for comparisons that tolerate more
    /// than the rounding.
    #[must_use]
    pub fn nearest_double(&self) -> f64 {
        match self {
            Self::Small(n) => *n as f64,
            Self::Big { negative, hex } => {
                let head = &hex[..hex.len().min(15)];
                let head = u64::from_str_radix(head, 16).map_or(f64::INFINITY, |n| n as f64);
                let rest = i32::try_from(4 * (hex.len() - hex.len().min(15))).unwrap_or(i32::MAX);
                let size = head * 2f64.powi(rest);
                if *negative { -size } else { size }
            }
        }
    }

    /// The double of exactly this value, if it is one.
    #[must_use]
    pub fn exact_double(&self) -> Option<f64> {
        let near = self.nearest_double();
        (near.is_finite() && Self::from_f64(near).as_ref() == Some(self)).then_some(near)
    }

    /// From `-?[0-9]+`, of at most 100,000 digits.
    #[must_use]
    pub fn from_decimal(text: &str) -> Option<Self> {
        let (negative, digits) = sign(text);
        if digits.is_empty()
            || digits.len() > MAX_DIGITS
            || !digits.bytes().all(|b| b.is_ascii_digit())
        {
            return None;
        }
        if let Ok(small) = text.parse() {
            return Some(Self::Small(small));
        }
        // Little-endian base 2**64; nineteen decimal digits at a time.
        let mut limbs: Vec<u64> = Vec::new();
        for chunk in digits.as_bytes().chunks(19) {
            let mut carry = chunk.iter().fold(0u64, |n, b| n * 10 + u64::from(b - b'0'));
            let scale = u128::from(10u64.pow(chunk.len() as u32));
            for limb in &mut limbs {
                let product = u128::from(*limb) * scale + u128::from(carry);
                *limb = product as u64;
                carry = (product >> 64) as u64;
            }
            if carry > 0 {
                limbs.push(carry);
            }
        }
        let mut hex = String::with_capacity(limbs.len() * 16);
        for limb in limbs.iter().rev() {
            write!(hex, "{limb:016x}").unwrap_or_default();
        }
        Some(Self::normal(negative, &hex))
    }

    /// The int a float is, when it is one.
    #[must_use]
    pub fn from_f64(float: f64) -> Option<Self> {
        if !float.is_finite() || float.fract() != 0.0 {
            return None;
        }
        if float.abs() < 9e18 {
            return Some(Self::Small(float as i64));
        }
        let (mantissa, exponent) = parts(float);
        // Shift by what is no whole hexadecimal digit; the rest are zeros.
        let shift = exponent.unsigned_abs();
        let hex = format!(
            "{:x}{}",
            mantissa << (shift % 4),
            "0".repeat((shift / 4) as usize)
        );
        Some(Self::normal(float < 0.0, &hex))
    }

    /// As Python's `hex` writes it.
    #[must_use]
    pub fn to_hex(&self) -> String {
        match self {
            Self::Small(n) => format!("{}0x{:x}", if *n < 0 { "-" } else { "" }, n.unsigned_abs()),
            Self::Big { negative, hex } => format!("{}0x{hex}", if *negative { "-" } else { "" }),
        }
    }

    fn normal(negative: bool, digits: &str) -> Self {
        let hex = digits.trim_start_matches('0');
        let small = i128::from_str_radix(if hex.is_empty() { "0" } else { hex }, 16)
            .ok()
            .and_then(|n| i64::try_from(if negative { -n } else { n }).ok());
        match small {
            Some(small) => Self::Small(small),
            None => Self::Big {
                negative,
                hex: hex.to_owned(),
            },
        }
    }
}

impl From<i64> for Int {
    fn from(n: i64) -> Self {
        Self::Small(n)
    }
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    }
}

/// |float| = mantissa · 2^exponent, for normal numbers.
fn parts(float: f64) -> (u64, i32) {
    let bits = float.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32;
    ((bits & ((1 << 52) - 1)) | (1 << 52), exponent - 1075)
}

/// A float as Python's `float.hex()` writes it.
pub(super) fn float_to_hex(float: f64) -> String {
    if float.is_nan() {
        return "nan".to_owned();
    }
    let minus = if float.is_sign_negative() { "-" } else { "" };
    if float.is_infinite() {
        return format!("{minus}inf");
    }
    if float == 0.0 {
        return format!("{minus}0x0.0p+0");
    }
    let bits = float.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    match ((bits >> 52) & 0x7ff) as i32 {
        0 => format!("{minus}0x0.{fraction:013x}p-1022"),
        exponent => format!("{minus}0x1.{fraction:013x}p{:+}", exponent - 1023),
    }
}

/// Reads what `float.hex()` writes, and nothing else.
pub(super) fn float_from_hex(text: &str) -> Option<f64> {
    let (negative, body) = sign(text);
    let signed = |float: f64| if negative { -float } else { float };
    match body {
        "nan" => return (!negative).then_some(f64::NAN),
        "inf" => return Some(signed(f64::INFINITY)),
        "0x0.0p+0" => return Some(signed(0.0)),
        _ => {}
    }
    let (mantissa, exponent) = body.strip_prefix("0x")?.split_once('p')?;
    let (lead, fraction) = mantissa.split_once('.')?;
    if fraction.len() != 13 || !fraction.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let fraction = u64::from_str_radix(fraction, 16).ok()?;
    let exponent: i64 = exponent.parse().ok()?;
    let biased = match (lead, exponent) {
        ("1", -1022..=1023) => u64::try_from(exponent + 1023).ok()?,
        ("0", -1022) => 0,
        _ => return None,
    };
    Some(signed(f64::from_bits(biased << 52 | fraction)))
}
