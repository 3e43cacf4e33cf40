//! Upper and lower case as Go has it: one character becomes one character, whatever stands around it.

/// Writes the text in lower case.
pub(super) fn lower(text: &str, out: &mut String) {
    out.extend(text.chars().map(lower_char));
}

/// Writes the text in upper case.
pub(super) fn upper(text: &str, out: &mut String) {
    out.extend(text.chars().map(upper_char));
}

fn lower_char(char: char) -> char {
    if char.is_ascii() {
        return char.to_ascii_lowercase();
    }
    let mut mapped = char.to_lowercase();
    match (mapped.next(), mapped.next()) {
        (Some(lower), None) => lower,
        // The only one of several: the dotted capital I. Its first character is the simple mapping.
        (Some(lower), Some(_)) => lower,
        (None, _) => char,
    }
}

fn upper_char(char: char) -> char {
    if char.is_ascii() {
        return char.to_ascii_uppercase();
    }
    let mut mapped = char.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(upper), None) => upper,
        // Of the letters whose capital is written with several characters, only the Greek ones with an iota subscript
        // have a capital of one character, too.
        _ => match char {
            '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => offset(char, 8),
            '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => offset(char, 9),
            _ => char,
        },
    }
}

fn offset(char: char, by: u32) -> char {
    char::from_u32(char as u32 + by).unwrap_or(char)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(text: &str) -> (String, String) {
        let (mut low, mut up) = (String::new(), String::new());
        lower(text, &mut low);
        upper(text, &mut up);
        (low, up)
    }

    #[test]
    fn one_character_becomes_one_character() {
        for (text, low, up) in [
            ("aB-1", "ab-1", "AB-1"),
            ("straße", "straße", "STRAßE"),
            ("ΟΔΟΣ", "οδοσ", "ΟΔΟΣ"),
            ("İ", "i", "İ"),
            ("ŉ ﬁ", "ŉ ﬁ", "ŉ ﬁ"),
            ("ᾀᾳ", "ᾀᾳ", "ᾈᾼ"),
            ("ǆǅ", "ǆǆ", "ǄǄ"),
        ] {
            assert_eq!(both(text), (low.to_owned(), up.to_owned()), "{text}");
        }
    }
}
