//! Numbers as Prometheus reads and writes them.

/// Reads a float: the syntax of Go's `strconv.ParseFloat` without hexadecimal floats and underscores.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    if let Some(value) = short_integer(bytes) {
        return Some(value);
    }
    let value: f64 = text.parse().ok()?;
    if value.is_finite() {
        return Some(value);
    }
    if value.is_nan() {
        // Go knows no sign of it. One bit pattern for all: others have a meaning, such as *stale*.
        return (!matches!(bytes[0], b'+' | b'-')).then_some(NORMAL_NAN);
    }
    // Digits that are too large for a float are an error, not infinity.
    (!bytes.iter().any(u8::is_ascii_digit)).then_some(value)
}

/// Reads the bound of a bucket or a quantile, for which Prometheus takes all that Go takes: hexadecimal floats and
/// underscores between digits too.
pub(crate) fn parse_bound(text: &str) -> Option<f64> {
    if !text.contains('_') {
        return parse_float(text).or_else(|| parse_hexadecimal(text));
    }
    let digits = underscores_separate_digits(text).then(|| text.replace('_', ""))?;
    parse_float(&digits).or_else(|| parse_hexadecimal(&digits))
}

/// Whether each underscore stands between two digits, or behind the prefix of a hexadecimal number.
fn underscores_separate_digits(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let number = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let is_digit = |byte: u8| if number.is_some() { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() };
    let mut before = number.is_some();
    let mut open = false;
    for byte in number.unwrap_or(text).bytes() {
        match (is_digit(byte), byte == b'_') {
            (true, _) => (before, open) = (true, false),
            (_, true) if before => (before, open) = (false, true),
            (_, true) => return false,
            _ if open => return false,
            _ => before = false,
        }
    }
    !open
}

/// A number such as `-0x1.8p-3`, whose exponent is one of 2, and has to be there.
fn parse_hexadecimal(text: &str) -> Option<f64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"))?;
    let (mantissa, power) = digits.split_once(['p', 'P'])?;
    let unsigned = power.strip_prefix(['+', '-']).unwrap_or(power);
    if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // No float needs a larger exponent, whatever the digits are.
    let power: i64 = power.parse().unwrap_or(if power.starts_with('-') { -100_000_000 } else { 100_000_000 });
    let mut exponent = power.clamp(-100_000_000, 100_000_000) - 4 * i64::try_from(fraction.len()).ok()?;
    let mut bits = 0u64;
    for character in whole.chars().chain(fraction.chars()) {
        let digit = u64::from(character.to_digit(16)?);
        if bits >> 58 == 0 {
            bits = bits << 4 | digit;
        } else {
            // What is too far behind to be kept decides about rounding no more than by being there.
            bits |= u64::from(digit != 0);
            exponent += 4;
        }
    }
    let value = nearest(bits, exponent)?;
    Some(if negative { -value } else { value })
}

/// The float that is nearest to so many times a power of 2, the even one of two; nothing beyond the largest one.
fn nearest(bits: u64, exponent: i64) -> Option<f64> {
    if bits == 0 {
        return Some(0.0);
    }
    let highest = i64::from(bits.ilog2()) + exponent;
    if highest > 1023 {
        return None;
    }
    let lowest = (highest - 52).max(-1074);
    let shift = lowest - exponent;
    let rounded = match u32::try_from(shift) {
        Err(_) => bits << shift.unsigned_abs(),
        Ok(shift @ 1..64) => {
            let (kept, half) = (bits >> shift, 1 << (shift - 1));
            let left = bits & ((1 << shift) - 1);
            kept + u64::from(left > half || left == half && kept & 1 == 1)
        }
        Ok(0) => bits,
        // There were at most 62 bits.
        Ok(_) => 0,
    };
    let power = if lowest < -1022 { 1 << (lowest + 1074) } else { ((lowest + 1023) as u64) << 52 };
    let value = rounded as f64 * f64::from_bits(power);
    value.is_finite().then_some(value)
}

/// The bit pattern that Prometheus stores for every NaN that a target exposes.
const NORMAL_NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0001);

/// Most values are small whole numbers.
fn short_integer(bytes: &[u8]) -> Option<f64> {
    if bytes.is_empty() || bytes.len() > 15 {
        return None;
    }
    let mut number = 0u64;
    for &byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    Some(number as f64)
}

/// A whole number times a power of ten, if one rounding suffices: both are floats, and so one operation gives the nearest.
#[inline]
pub(crate) fn exact(mantissa: u64, exponent: i32) -> Option<f64> {
    const TENS: [f64; 23] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20, 1e21, 1e22,
    ];
    if mantissa > 1 << 53 {
        return None;
    }
    let power = TENS.get(exponent.unsigned_abs() as usize)?;
    Some(if exponent < 0 { mantissa as f64 / power } else { mantissa as f64 * power })
}

/// A float as OpenMetrics writes it in `le` and `quantile`: always with a point or an exponent.
pub fn format_open_metrics(value: f64, out: &mut String) {
    let start = out.len();
    // Zero has no sign here.
    let value = if value == 0.0 { 0.0 } else { value };
    write_shortest(value, out);
    if !out[start..].contains(['e', '.']) && value.is_finite() {
        out.push_str(".0");
    }
}

/// A value as the HTTP API of Prometheus writes it: Go's format `f` with as few digits as give the value back.
pub fn format_value(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        // The standard library never uses an exponent here.
        value.to_string()
    }
}

/// A number as Prometheus writes it in labels: Go's format `g` with as few digits as give the value back, which has an exponent below
/// 1e-4 and from 1e6 on.
pub fn format_shortest(value: f64) -> String {
    let mut out = String::new();
    write_shortest(value, &mut out);
    out
}

fn write_shortest(value: f64, out: &mut String) {
    if !value.is_finite() {
        out.push_str(&format_value(value));
        return;
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    if (-4..6).contains(&exponent) {
        out.push_str(&value.to_string());
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        out.push_str(&format!("{mantissa}e{sign}{:02}", exponent.abs()));
    }
}

/// Whether a text is what [`format_open_metrics`] would write for its number; may say no to some that are.
pub(crate) fn is_normal(text: &str) -> bool {
    if text == "+Inf" {
        return true;
    }
    let Some((whole, fraction)) = text.split_once('.') else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && digits(fraction)
        && whole.len() <= 6
        && fraction.len() <= 9
        && (whole == "0" || !whole.starts_with('0'))
        && (fraction == "0" || !fraction.ends_with('0'))
        && !(whole == "0" && fraction.starts_with("0000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_read_as_go_reads_them() {
        for (text, value) in [
            ("1", 1.0),
            ("-2.5", -2.5),
            (".5", 0.5),
            ("1e3", 1000.0),
            ("+Inf", f64::INFINITY),
            ("-inf", f64::NEG_INFINITY),
        ] {
            assert_eq!(parse_float(text), Some(value), "{text}");
        }
        assert_eq!(parse_float("nan").map(f64::to_bits), Some(0x7ff8_0000_0000_0001));
        for bad in ["", "+nan", "1e999", "0x1p3", "1_000", "one", "--1"] {
            assert_eq!(parse_float(bad), None, "{bad}");
        }
    }

    #[test]
    fn bounds_are_read_as_go_reads_them() {
        for (text, value) in [
            ("2.5", 2.5),
            ("0x1p3", 8.0),
            ("-0X1.8P-1", -0.75),
            ("+0x.8p1", 1.0),
            ("0xA.p0", 10.0),
            ("1_000.5_0e1_0", 1000.5e10),
            ("0x_1_Fp0", 31.0),
            ("0x0p99999999999999999999", 0.0),
            ("0x1p-99999999999999999999", 0.0),
            ("0x1.fffffffffffff8p1022", 2f64.powi(1023)),
            ("0x1.00000000000008p0", 1.0),
            ("0x1.000000000000080000000000000000001p0", 1.0 + f64::EPSILON),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("0x1p-1074", 5e-324),
            ("0x1p-1075", 0.0),
            ("0x1.8p-1075", 5e-324),
            ("0x0.00000000000008p-1022", 0.0),
            ("0x123456789abcdef0123456789p0", 0x0001_2345_6789_abcd_ef01_2345_6789_u128 as f64),
        ] {
            assert_eq!(parse_bound(text), Some(value), "{text}");
        }
        let bad = "0x1 0x 0xp1 0x.p1 0x1p 0x1p+ 0x1pa 0xgp1 0x1.8.8p1 _1 1_ 1__0 1_.5 1._5 0_x1p1 0x1_p1 0b1 e 1e999";
        for bad in bad.split(' ').chain(["", "0x1p1024", "0x1.fffffffffffff8p1023"]) {
            assert_eq!(parse_bound(bad), None, "{bad}");
        }
    }

    #[test]
    fn bucket_bounds_have_a_point_or_an_exponent() {
        for (value, text) in [
            (1.0, "1.0"),
            (0.0, "0.0"),
            (-0.0, "0.0"),
            (-1.0, "-1.0"),
            (0.005, "0.005"),
            (10.0, "10.0"),
            (1e-5, "1e-05"),
            (2.5, "2.5"),
            (f64::INFINITY, "+Inf"),
            (100_000.0, "100000.0"),
            (1e6, "1e+06"),
            (1_234_567.5, "1.2345675e+06"),
        ] {
            let mut out = String::new();
            format_open_metrics(value, &mut out);
            assert_eq!(out, text);
            assert!(!is_normal("1") && (!is_normal(text) || parse_float(text) == Some(value)));
        }
    }

    #[test]
    fn values_are_written_without_exponent() {
        assert_eq!(
            ["1000000", "0.1", "+Inf"],
            [1e6, 0.1, f64::INFINITY].map(format_value).each_ref().map(String::as_str)
        );
    }
}
