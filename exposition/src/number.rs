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
    format_shortest(value, out);
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

/// Go's format `g` with as few digits as give the value back: with an exponent below 1e-4 and from 1e6 on.
fn format_shortest(value: f64, out: &mut String) {
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
    fn bucket_bounds_have_a_point_or_an_exponent() {
        for (value, text) in [
            (1.0, "1.0"),
            (0.0, "0.0"),
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
