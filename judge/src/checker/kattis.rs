//! The rule of the default output validator of the Kattis/ICPC problem package
//! format. Laxer than our own rules in two ways, and only for packages that
//! count on it: letters compare without their case, and a tolerance holds for
//! integers too.

use super::number::real;
use super::{Difference, Tolerance, is_space, pairwise, tokens};

/// What a package's flags make of the rule.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Kattis {
    case_sensitive: bool,
    space_change_sensitive: bool,
    tolerance: Option<Tolerance>,
}

impl Kattis {
    /// Reads `validator_flags` or `output_validator_args`.
    ///
    /// # Errors
    /// On a flag that the format does not have, a tolerance without a number,
    /// or one that is given twice.
    pub fn from_flags<S: AsRef<str>>(flags: &[S]) -> Result<Self, String> {
        let mut rule = Self::default();
        let (mut abs, mut rel) = (None, None);
        let mut flags = flags.iter().map(AsRef::as_ref);
        while let Some(flag) = flags.next() {
            let mut number = || -> Result<f64, String> {
                let text = flags.next().ok_or(format!("{flag} needs a number"))?;
                real(text.as_bytes())
                    .filter(|n| *n >= 0.0)
                    .ok_or(format!("{flag} needs a number, not {text:?}"))
            };
            let set = |place: &mut Option<f64>, value: f64| match place.replace(value) {
                None => Ok(()),
                Some(_) => Err(format!("{flag} sets a tolerance that is set already")),
            };
            match flag {
                "case_sensitive" => rule.case_sensitive = true,
                "space_change_sensitive" => rule.space_change_sensitive = true,
                "float_absolute_tolerance" => set(&mut abs, number()?)?,
                "float_relative_tolerance" => set(&mut rel, number()?)?,
                "float_tolerance" => {
                    let both = number()?;
                    set(&mut abs, both)?;
                    set(&mut rel, both)?;
                }
                other => return Err(format!("the default validator has no flag {other:?}")),
            }
        }
        if abs.is_some() || rel.is_some() {
            // One that is not set accepts nothing but the value itself, which
            // the other accepts too.
            rule.tolerance = Tolerance::new(abs.unwrap_or(0.0), rel.unwrap_or(0.0));
        }
        Ok(rule)
    }

    pub(super) fn check(self, want: &[u8], got: &[u8]) -> Result<(), Difference> {
        pairwise(tokens(want), tokens(got), |w, g| self.same(w, g))?;
        if !self.space_change_sensitive || gaps(want).eq(gaps(got)) {
            return Ok(());
        }
        Err(Difference::text("the white space differs"))
    }

    fn same(self, want: &[u8], got: &[u8]) -> bool {
        if let (Some(tolerance), Some(want)) = (self.tolerance, real(want)) {
            return real(got).is_some_and(|got| tolerance.accepts(want, got));
        }
        want == got || (!self.case_sensitive && want.eq_ignore_ascii_case(got))
    }
}

/// The white space before, between and after the tokens.
fn gaps(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|b| !is_space(*b)).enumerate().filter_map(
        // Between the letters of a token there is nothing, which is no gap.
        |(at, gap)| (at == 0 || !gap.is_empty()).then_some(gap),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(flags: &[&str], want: &str, got: &str) -> bool {
        let rule = Kattis::from_flags(flags).unwrap();
        rule.check(want.as_bytes(), got.as_bytes()).is_ok()
    }

    #[test]
    fn letters_compare_without_their_case_unless_the_package_says_otherwise() {
        assert!(accepts(&[], "Yes\n", "YES"));
        assert!(!accepts(&["case_sensitive"], "Yes\n", "YES"));
        assert!(accepts(&["case_sensitive"], "Yes\n", " Yes "));
        // ASCII only, as the format says: bytes, not characters.
        assert!(!accepts(&[], "é", "É"));
    }

    #[test]
    fn a_tolerance_holds_for_integers_too_and_any_way_of_writing_a_number() {
        let flags = ["float_tolerance", "1e-6"];
        assert!(accepts(&flags, "1000", "1e3"));
        assert!(accepts(&flags, "0.0314", "3.14000000e-2"));
        assert!(accepts(&flags, "1000000", "1000000.9"));
        assert!(!accepts(&flags, "1000000", "1000002"));
        assert!(!accepts(&flags, "1.0", "one"));
        assert!(!accepts(&flags, "1.0", "nan"));
        assert!(accepts(&flags, "Case", "case"));
        assert!(!accepts(&[], "1.0", "1.00"));
    }

    #[test]
    fn absolute_and_relative_are_told_apart() {
        let (abs, rel) = (
            ["float_absolute_tolerance", "0.5"],
            ["float_relative_tolerance", "0.01"],
        );
        assert!(accepts(&abs, "1", "1.5") && !accepts(&abs, "1000", "1001"));
        assert!(accepts(&rel, "1000", "1001") && !accepts(&rel, "1", "1.5"));
        let both = [abs, rel].concat();
        assert!(accepts(&both, "1", "1.5") && accepts(&both, "1000", "1001"));
        assert!(accepts(&rel, "0", "0") && !accepts(&rel, "0", "1e-300"));
    }

    #[test]
    fn white_space_counts_only_where_the_package_says_so() {
        assert!(accepts(&[], "1 2\n3\n", "1\n2 \t 3"));
        let flags = ["space_change_sensitive"];
        assert!(accepts(&flags, "1 2\n3\n", "1 2\n3\n"));
        for other in [
            "1 2\n3",
            "1 2\n3\n\n",
            " 1 2\n3\n",
            "1  2\n3\n",
            "1\t2\n3\n",
        ] {
            assert!(!accepts(&flags, "1 2\n3\n", other), "{other:?}");
        }
        assert!(accepts(&flags, "aB c", "Ab c"));
    }

    #[test]
    fn a_prefix_or_anything_extra_is_refused() {
        assert!(!accepts(&[], "1 2", "1"));
        assert!(!accepts(&[], "1 2", "1 2 3"));
        assert!(!accepts(&[], "", "x") && accepts(&[], "", " \n"));
    }

    #[test]
    fn flags_the_format_has_not_are_refused() {
        for flags in [
            &["float_tolerance"][..],
            &["float_tolerance", "x"],
            &["float_tolerance", "-1"],
            &["float_tolerance", "1", "float_absolute_tolerance", "1"],
            &["no_such_flag"],
        ] {
            assert!(Kattis::from_flags(flags).is_err(), "{flags:?}");
        }
    }
}
