//! Decimal literals, strictly. `str::parse::<f64>` also takes `inf`, `nan` and
//! `infinity`, which no checker may take for numbers.

/// `[+-]?digits`.
pub(super) fn is_integer(token: &[u8]) -> bool {
    let digits = unsigned(token);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// The value of `[+-]?(digits[.digits?] | .digits)([eE][+-]?digits)?`, when it
/// is finite.
pub(super) fn real(token: &[u8]) -> Option<f64> {
    let body = unsigned(token);
    let (mantissa, exponent) = match body.iter().position(|b| matches!(b, b'e' | b'E')) {
        Some(at) => (&body[..at], Some(&body[at + 1..])),
        None => (body, None),
    };
    if exponent.is_some_and(|exponent| !is_integer(exponent)) {
        return None;
    }
    let points = mantissa.iter().filter(|&&b| b == b'.').count();
    let digits = mantissa.iter().filter(|b| b.is_ascii_digit()).count();
    if points > 1 || digits == 0 || points + digits != mantissa.len() {
        return None;
    }
    let value: f64 = std::str::from_utf8(token).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

fn unsigned(token: &[u8]) -> &[u8] {
    match token {
        [b'+' | b'-', rest @ ..] => rest,
        _ => token,
    }
}
