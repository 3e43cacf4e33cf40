//! Answers of XML-RPC, for fakes of its servers.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// The answer to a call whose result is this, as JSON: `null` as `nil`.
///
/// ```
/// let answer = rosterd_testkit::xmlrpc_answer(&serde_json::json!({"id": [1], "name": "<a>"}));
/// assert!(answer.contains("<member><name>name</name><value><string>&lt;a></string></value></member>"));
/// ```
pub fn xmlrpc_answer(result: &Value) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<methodResponse><params><param>");
    write_value(result, &mut text);
    text + "</param></params></methodResponse>\n"
}

/// The answer to a call that failed.
pub fn xmlrpc_fault(code: i64, words: &str) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<methodResponse><fault>");
    write_value(&json!({"faultCode": code, "faultString": words}), &mut text);
    text + "</fault></methodResponse>\n"
}

fn write_value(value: &Value, text: &mut String) {
    text.push_str("<value>");
    match value {
        Value::Null => text.push_str("<nil/>"),
        Value::Bool(flag) => write!(text, "<boolean>{}</boolean>", u8::from(*flag)).expect("a string takes any text"),
        Value::Number(number) if number.is_i64() => {
            write!(text, "<int>{number}</int>").expect("a string takes any text")
        }
        Value::Number(number) => write!(text, "<double>{number}</double>").expect("a string takes any text"),
        Value::String(value) => {
            let value = value.replace('&', "&amp;").replace('<', "&lt;");
            write!(text, "<string>{value}</string>").expect("a string takes any text");
        }
        Value::Array(items) => {
            text.push_str("<array><data>");
            items.iter().for_each(|item| write_value(item, text));
            text.push_str("</data></array>");
        }
        Value::Object(members) => {
            text.push_str("<struct>");
            for (name, value) in members {
                write!(text, "<member><name>{name}</name>").expect("a string takes any text");
                write_value(value, text);
                text.push_str("</member>");
            }
            text.push_str("</struct>");
        }
    }
    text.push_str("</value>");
}
