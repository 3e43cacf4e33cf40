//! Escapes: characters by their number, assertions, and `\Q...\E`.

use super::{SyntaxError, Translator, class, error};

/// Reads one escape outside of a class.
pub(super) fn escape(translator: &mut Translator<'_>) -> Result<(), SyntaxError> {
    let start = translator.at;
    let asserted = [(r"\A", r"\A"), (r"\z", r"\z"), (r"\b", r"(?-u:\b)"), (r"\B", r"(?-u:\B)")];
    if let Some((_, assertion)) = asserted.into_iter().find(|(escape, _)| translator.eat(escape)) {
        translator.out.push_str(assertion);
        translator.atom(1);
        return Ok(());
    }
    if translator.eat(r"\Q") {
        // Prometheus appends its anchor, which a quote without an end would swallow.
        let length = translator.rest().find(r"\E").ok_or(error(r"missing \E after \Q", start))?;
        let quoted = translator.at..translator.at + length;
        let regex = translator.regex;
        regex[quoted].chars().for_each(|char| translator.push_literal(char));
        translator.at += length + 2;
        return Ok(());
    }
    if let Some(class) = class::escaped(translator)? {
        translator.out.push_str(&class);
        translator.atom(1);
        return Ok(());
    }
    match char::from_u32(character(translator)?) {
        Some(char) => translator.push_literal(char),
        None => {
            // A surrogate, which no text contains.
            translator.out.push_str(class::NOTHING);
            translator.atom(1);
        }
    }
    Ok(())
}

/// Reads the escape of a single character, within or outside of a class. It may be a surrogate.
pub(super) fn character(translator: &mut Translator<'_>) -> Result<u32, SyntaxError> {
    let start = translator.at;
    let invalid = error("invalid escape", start);
    translator.at += 1;
    let char = translator.peek().ok_or(error("trailing backslash", start))?;
    translator.at += char.len_utf8();
    match char {
        '0'..='7' => octal(translator, char).ok_or(invalid),
        'x' => hexadecimal(translator).ok_or(invalid),
        'a' => Ok(0x07),
        'f' => Ok(0x0c),
        'n' => Ok(0x0a),
        'r' => Ok(0x0d),
        't' => Ok(0x09),
        'v' => Ok(0x0b),
        _ if char.is_ascii() && !char.is_ascii_alphanumeric() => Ok(char as u32),
        _ => Err(invalid),
    }
}

/// Up to three octal digits. One alone would be a back reference, unless it is zero.
fn octal(translator: &mut Translator<'_>, first: char) -> Option<u32> {
    let digits = translator.rest().bytes().take(2).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
    if first != '0' && digits == 0 {
        return None;
    }
    let code = u32::from_str_radix(&translator.regex[translator.at - 1..translator.at + digits], 8).ok()?;
    translator.at += digits;
    Some(code)
}

/// Two hexadecimal digits, or any number of them in braces.
fn hexadecimal(translator: &mut Translator<'_>) -> Option<u32> {
    let rest = translator.rest();
    let (digits, length) = match rest.strip_prefix('{') {
        Some(inside) => {
            let digits = inside.split_once('}')?.0;
            (digits, digits.len() + 2)
        }
        None => (rest.get(..2)?, 2),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    let code = if digits.is_empty() { 0 } else { u32::from_str_radix(digits, 16).ok()? };
    translator.at += length;
    (code <= char::MAX as u32).then_some(code)
}
