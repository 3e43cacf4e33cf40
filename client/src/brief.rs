//! What somebody else says, such as the words of a refusal, as it is told to people. Pure.

use crate::Secrets;

/// So many characters of it are told.
const LONGEST: usize = 300;

/// What somebody else says, as one line that can be shown. Secrets have to be hidden before: [`Secrets::brief`] does both.
pub fn brief(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let told: String = line.chars().filter(|character| !character.is_control()).take(LONGEST).collect();
    if told.len() < line.len() { told + "..." } else { told }
}

impl Secrets {
    /// What somebody else says, as one line that can be shown, without what was sent as a secret.
    pub fn brief(&self, text: &str) -> String {
        brief(&self.hide(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    #[test]
    fn what_is_said_is_one_short_line() {
        assert_eq!(brief(" PQL parse error:\n\nres {\r\n   ^\n"), "PQL parse error: res { ^");
        assert_eq!(brief(&"\u{fc}".repeat(LONGEST + 1)), "\u{fc}".repeat(LONGEST) + "...");
        assert_eq!(brief("a\u{1b}[31m"), "a[31m...");
    }

    #[test]
    fn what_was_sent_is_hidden_before_it_can_be_cut_in_two() {
        let secrets = Secrets::default().and([Secret::new("hunter2")]);
        let before = "a".repeat(LONGEST - 8);
        assert_eq!(secrets.brief(&format!("{before}hunter2 and more")), format!("{before}<secret>..."));
    }
}
