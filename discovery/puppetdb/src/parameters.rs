//! The parameters of a resource as labels: texts, booleans and numbers as they are, lists of these as one text, maps as many labels. Pure.

use rosterd_discovery::Sheet;
use rosterd_exposition::format_shortest;
use serde_json::{Map, Value};

/// Sets a label for each parameter. Of names that become the same, the last one counts.
pub(super) fn describe(parameters: &Map<String, Value>, sheet: &mut Sheet) {
    describe_below("", parameters, sheet);
}

fn describe_below(above: &str, parameters: &Map<String, Value>, sheet: &mut Sheet) {
    for (key, value) in parameters {
        let name = format!("{above}{key}");
        if let Value::Object(below) = value {
            describe_below(&format!("{name}_"), below, sheet);
            continue;
        }
        let text = match value {
            Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
            one => text(one),
        };
        if !text.is_empty() {
            sheet.set_sanitised("__meta_puppetdb_parameter_", &name, &text);
        }
    }
}

/// One value; nothing for what has no text.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.as_f64().map(format_shortest).unwrap_or_default(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use rosterd_model::Names;

    use super::*;

    /// The labels of these parameters, without what their names have in common.
    fn labels(parameters: &str) -> Vec<String> {
        let mut sheet = Sheet::default();
        describe(&serde_json::from_str(parameters).expect(parameters), &mut sheet);
        let labels = sheet.build(&mut Names::new());
        let short = |name: &str| name.strip_prefix("__meta_puppetdb_parameter_").expect("the prefix").to_owned();
        labels.iter().map(|(name, value)| format!("{}={value}", short(name))).collect()
    }

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (number, want) in [
            ("22", "22"),
            ("-0", "-0"),
            ("0.5", "0.5"),
            ("100000", "100000"),
            ("999999.5", "999999.5"),
            ("1000000", "1e+06"),
            ("1234567", "1.234567e+06"),
            ("-123456789", "-1.23456789e+08"),
            ("9007199254740993", "9.007199254740992e+15"),
            ("18446744073709551615", "1.8446744073709552e+19"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("3.141592653589793", "3.141592653589793"),
            ("1e300", "1e+300"),
            ("2.50", "2.5"),
            // Read a little faster, it would be another number.
            ("31.245270191439438", "31.245270191439438"),
        ] {
            assert_eq!(labels(&format!("{{\"n\": {number}}}")), [format!("n={want}")], "{number}");
        }
    }

    #[test]
    fn lists_are_one_text_without_what_has_none() {
        let text = r#"{"l": ["x", 1, true, [2], {"a": 1}, null, 1000000], "none": [], "one": [""], "two": ["", ""]}"#;
        assert_eq!(labels(text), ["l=x,1,true,,,,1e+06", "two=,"]);
    }

    #[test]
    fn maps_are_labels_of_their_own_and_what_is_empty_is_none() {
        let text = r#"{"a-b": {"c.d": 1, "e": {"f": ["q", 2]}, "none": {}}, "null": null, "empty": "", "no": false, "ü": "y"}"#;
        assert_eq!(labels(text), ["_=y", "a_b_c_d=1", "a_b_e_f=q,2", "no=false"]);
    }

    #[test]
    fn of_names_that_become_the_same_the_last_one_counts() {
        assert_eq!(labels(r#"{"a_b": "3", "a": {"b": "1"}, "a-b": "2", "a.b": ""}"#), ["a_b=3"]);
    }
}
