//! Prints docs/attacks.md: `make attacks`.

fn main() {
    print!("{}", assize_tests::attacks::document());
}
