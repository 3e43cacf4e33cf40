//! Character classes: bracketed, Perl's, POSIX's and those of Unicode.

use std::fmt::Write;

use super::{SyntaxError, Translator, error, escape};

/// A class in which no character is.
pub(super) const NOTHING: &str = r"[^\x{0}-\x{10FFFF}]";
/// A class in which every character is.
const EVERYTHING: &str = r"[\x{0}-\x{10FFFF}]";

/// Classes that RE2 defines on ASCII alone.
const POSIX: [(&str, &str); 14] = [
    ("alnum", "0-9A-Za-z"),
    ("alpha", "A-Za-z"),
    ("ascii", r"\x00-\x7F"),
    ("blank", r"\t\x20"),
    ("cntrl", r"\x00-\x1F\x7F"),
    ("digit", "0-9"),
    ("graph", r"!-\x7E"),
    ("lower", "a-z"),
    ("print", r"\x20-\x7E"),
    ("punct", r"!-/:-@\[-`\{-\x7E"),
    ("space", r"\t-\r\x20"),
    ("upper", "A-Z"),
    ("word", "0-9A-Z_a-z"),
    ("xdigit", "0-9A-Fa-f"),
];

/// Reads a bracketed class and writes it with each character spelt out.
pub(super) fn bracketed(translator: &mut Translator<'_>) -> Result<(), SyntaxError> {
    let start = translator.at;
    translator.at += 1;
    let negated = translator.eat("^");
    let mut items = String::new();
    let mut first = true;
    // A bracket at the beginning is one of the characters.
    while first || !translator.rest().starts_with(']') {
        first = false;
        if let Some(class) = posix(translator)? {
            items.push_str(&class);
        } else if let Some(class) = escaped(translator)? {
            items.push_str(&class);
        } else {
            range(translator, start, &mut items)?;
        }
    }
    translator.at += 1;
    match (items.is_empty(), negated) {
        (true, false) => translator.out.push_str(NOTHING),
        (true, true) => translator.out.push_str(EVERYTHING),
        (false, false) => translator.out.extend(["[", &items, "]"]),
        (false, true) => translator.out.extend(["[^", &items, "]"]),
    }
    Ok(())
}

/// `[:alpha:]` or `[:^alpha:]`.
fn posix(translator: &mut Translator<'_>) -> Result<Option<String>, SyntaxError> {
    let Some(length) = translator.rest().strip_prefix("[:").and_then(|inside| inside.find(":]")) else {
        return Ok(None);
    };
    let name = &translator.rest()[2..2 + length];
    let (negation, name) = name.strip_prefix('^').map_or(("", name), |name| ("^", name));
    let (_, class) =
        POSIX.into_iter().find(|(known, _)| *known == name).ok_or(error("unknown POSIX class", translator.at))?;
    translator.at += length + 4;
    Ok(Some(format!("[{negation}{class}]")))
}

/// `\d`, `\PL`, `\p{Greek}` and their like, within or outside of brackets.
pub(super) fn escaped(translator: &mut Translator<'_>) -> Result<Option<String>, SyntaxError> {
    let perl = match translator.rest().as_bytes() {
        [b'\\', b'd', ..] => "[0-9]",
        [b'\\', b'D', ..] => "[^0-9]",
        [b'\\', b's', ..] => r"[\t\n\x0C\r\x20]",
        [b'\\', b'S', ..] => r"[^\t\n\x0C\r\x20]",
        [b'\\', b'w', ..] => "[0-9A-Z_a-z]",
        [b'\\', b'W', ..] => "[^0-9A-Z_a-z]",
        [b'\\', b'p', ..] => return unicode(translator, false).map(Some),
        [b'\\', b'P', ..] => return unicode(translator, true).map(Some),
        _ => return Ok(None),
    };
    translator.at += 2;
    Ok(Some(perl.to_owned()))
}

/// `\pN`, `\p{Name}` or `\p{^Name}`, where the name is that of a general category or a script.
fn unicode(translator: &mut Translator<'_>, negated: bool) -> Result<String, SyntaxError> {
    let unknown = error("unknown Unicode class", translator.at);
    let rest = &translator.rest()[2..];
    let (name, length) = match rest.strip_prefix('{') {
        Some(inside) => {
            let name = inside.split_once('}').ok_or(unknown.clone())?.0;
            (name, name.len() + 2)
        }
        None => {
            let name = rest.chars().next().ok_or(unknown.clone())?;
            (&rest[..name.len_utf8()], name.len_utf8())
        }
    };
    let (negated, name) = name.strip_prefix('^').map_or((negated, name), |name| (!negated, name));
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphabetic() || b"_- ".contains(&byte)) {
        return Err(unknown);
    }
    // Surrogates are a category that no text contains, and that the regex crates do not have.
    let class = if ["cs", "surrogate"].contains(&name.to_ascii_lowercase().as_str()) {
        if negated { EVERYTHING } else { NOTHING }.to_owned()
    } else {
        let letter = if negated { 'P' } else { 'p' };
        ["gc", "sc"]
            .into_iter()
            .map(|property| format!("\\{letter}{{{property}={name}}}"))
            .find(|class| regex_syntax::parse(class).is_ok())
            .ok_or(unknown)?
    };
    translator.at += 2 + length;
    Ok(class)
}

/// One character, or a range of them. Surrogates are left out: no text contains them.
fn range(translator: &mut Translator<'_>, start: usize, items: &mut String) -> Result<(), SyntaxError> {
    let at = translator.at;
    let low = character(translator, start)?;
    let mut high = low;
    if translator.rest().starts_with('-') && !translator.rest().starts_with("-]") && translator.rest().len() > 1 {
        translator.at += 1;
        high = character(translator, start)?;
    }
    if high < low {
        return Err(error("invalid range of characters", at));
    }
    for (low, high) in [(low, high.min(0xd7ff)), (low.max(0xe000), high)] {
        if low <= high {
            write!(items, r"\x{{{low:X}}}-\x{{{high:X}}}").expect("a string takes what is written");
        }
    }
    Ok(())
}

fn character(translator: &mut Translator<'_>, start: usize) -> Result<u32, SyntaxError> {
    match translator.peek() {
        None => Err(error("missing closing ]", start)),
        Some('\\') => escape::character(translator),
        Some(char) => {
            translator.at += char.len_utf8();
            Ok(char as u32)
        }
    }
}
