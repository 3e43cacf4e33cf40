//! XML-RPC: calls as they are written, and answers as they are read. Pure.

use std::fmt::Write as _;

use rosterd_rest::{Fault, xml};
use roxmltree::Node;

/// What a method is called with.
pub(super) enum Argument<'a> {
    Text(&'a str),
    Number(i64),
    Numbers(&'a [i64]),
}

/// A call.
pub(super) fn call(method: &str, arguments: &[Argument<'_>]) -> String {
    let mut text =
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><methodCall><methodName>{method}</methodName><params>");
    for argument in arguments {
        text.push_str("<param>");
        match argument {
            Argument::Text(value) => {
                write!(text, "<value><string>{}</string></value>", escaped(value)).expect("a string takes any text");
            }
            Argument::Number(value) => number(*value, &mut text),
            Argument::Numbers(values) => {
                text.push_str("<value><array><data>");
                values.iter().for_each(|value| number(*value, &mut text));
                text.push_str("</data></array></value>");
            }
        }
        text.push_str("</param>");
    }
    text.push_str("</params></methodCall>");
    text
}

fn number(value: i64, text: &mut String) {
    write!(text, "<value><int>{value}</int></value>").expect("a string takes any text");
}

/// A text as it is written in XML.
pub(super) fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            // It would become the end of a line.
            '\r' => text.push_str("&#xD;"),
            other => text.push(other),
        }
    }
    text
}

/// What a server says instead of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: i64,
    pub(super) text: String,
}

/// Reads the answer to a call.
pub(super) fn answer<T>(
    body: &[u8],
    read: impl FnOnce(Value<'_>) -> Result<T, Fault>,
) -> Result<Result<T, Refusal>, Fault> {
    let text = String::from_utf8_lossy(body);
    let document = xml(&text)?;
    let root = document.root_element();
    if root.tag_name().name() != "methodResponse" {
        return Err(wrong(root, "this is no answer of XML-RPC"));
    }
    if let Some(fault) = child(root, "fault") {
        let fault = value_of(fault)?;
        return Ok(Err(Refusal { code: fault.number_of("faultCode")?, text: fault.text_of("faultString")? }));
    }
    let parameter = child(root, "params").and_then(|parameters| child(parameters, "param"));
    read(value_of(parameter.unwrap_or(root))?).map(Ok)
}

/// A value, whatever its type.
#[derive(Clone, Copy)]
pub(super) struct Value<'a>(Node<'a, 'a>);

impl<'a> Value<'a> {
    /// The values of a list.
    pub(super) fn list(self) -> Result<Vec<Value<'a>>, Fault> {
        let Some(list) = self.of_type(&["array"], "a list")? else { return Ok(Vec::new()) };
        let items = elements(list).filter(|node| node.tag_name().name() == "data").flat_map(elements);
        items
            .map(|node| if node.tag_name().name() == "value" { Ok(Value(node)) } else { Err(unexpected(node)) })
            .collect()
    }

    /// The list of this name in a map; empty if it is not there.
    pub(super) fn list_of(self, name: &str) -> Result<Vec<Value<'a>>, Fault> {
        self.member(name)?.map_or(Ok(Vec::new()), Value::list)
    }

    /// A text.
    pub(super) fn text(self) -> Result<String, Fault> {
        if elements(self.0).next().is_none() {
            return Ok(own_text(self.0).trim().to_owned());
        }
        Ok(self.of_type(&["string"], "a text")?.map(own_text).unwrap_or_default())
    }

    /// The text of this name in a map; empty if it is not there.
    pub(super) fn text_of(self, name: &str) -> Result<String, Fault> {
        self.member(name)?.map_or(Ok(String::new()), |value| value.text())
    }

    /// The number of this name in a map; 0 if it is not there.
    pub(super) fn number_of(self, name: &str) -> Result<i64, Fault> {
        let Some(value) = self.member(name)? else { return Ok(0) };
        let Some(node) = value.of_type(&["int", "i4", "i8"], "a number")? else { return Ok(0) };
        let text = own_text(node);
        text.trim().parse().map_err(|_| wrong(node, &format!("{text:?} is not a number")))
    }

    /// The truth of this name in a map; false if it is not there.
    pub(super) fn flag_of(self, name: &str) -> Result<bool, Fault> {
        let Some(value) = self.member(name)? else { return Ok(false) };
        let Some(node) = value.of_type(&["boolean"], "true or false")? else { return Ok(false) };
        match own_text(node).trim() {
            "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            other => Err(wrong(node, &format!("{other:?} is not true or false"))),
        }
    }

    /// The last value of this name in a map.
    fn member(self, name: &str) -> Result<Option<Value<'a>>, Fault> {
        let Some(map) = self.of_type(&["struct"], "a map")? else { return Ok(None) };
        let is_it = |member: &Node<'_, '_>| child(*member, "name").is_some_and(|node| own_text(node) == name);
        let member = elements(map).filter(|node| node.tag_name().name() == "member").filter(is_it).last();
        member.map(value_of).transpose()
    }

    /// The element that has the value, if it has one of these types; nothing where there is no value.
    fn of_type(self, types: &[&str], what: &str) -> Result<Option<Node<'a, 'a>>, Fault> {
        match elements(self.0).next() {
            Some(node) if types.contains(&node.tag_name().name()) => Ok(Some(node)),
            // An empty element of any type, mostly `nil`, is none.
            Some(node) if !node.has_children() => Ok(None),
            None if own_text(self.0).trim().is_empty() => Ok(None),
            Some(node) => Err(wrong(node, &format!("expected {what}, found <{}>", node.tag_name().name()))),
            None => Err(wrong(self.0, &format!("expected {what}, found a text"))),
        }
    }
}

/// The value that stands in an element.
fn value_of<'a>(node: Node<'a, 'a>) -> Result<Value<'a>, Fault> {
    child(node, "value").map(Value).ok_or_else(|| wrong(node, &format!("<{}> has no value", node.tag_name().name())))
}

fn elements<'a>(node: Node<'a, 'a>) -> impl Iterator<Item = Node<'a, 'a>> {
    node.children().filter(Node::is_element)
}

fn child<'a>(node: Node<'a, 'a>, name: &str) -> Option<Node<'a, 'a>> {
    elements(node).find(|child| child.tag_name().name() == name)
}

/// The text that stands in an element itself.
fn own_text(node: Node<'_, '_>) -> String {
    node.children().filter(Node::is_text).filter_map(|text| text.text()).collect()
}

fn unexpected(node: Node<'_, '_>) -> Fault {
    wrong(node, &format!("expected a value, found <{}>", node.tag_name().name()))
}

fn wrong(node: Node<'_, '_>, what: &str) -> Fault {
    let place = node.document().text_pos_at(node.range().start);
    Fault::new(format!("line {}, column {}: {what}", place.row, place.col))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(inner: &str) -> String {
        format!("<?xml version=\"1.0\"?>\n<methodResponse><params><param>{inner}</param></params></methodResponse>")
    }

    fn text(inner: &str) -> Result<String, Fault> {
        answer(answered(inner).as_bytes(), |value| value.text()).map(|answer| answer.expect("no fault"))
    }

    #[test]
    fn a_call_is_written_as_its_server_reads_it() {
        let arguments = [
            Argument::Text("a<&>\r\n\"ü'"),
            Argument::Number(-600),
            Argument::Numbers(&[1, 2]),
            Argument::Numbers(&[]),
        ];
        let want = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><methodCall><methodName>auth.login</methodName><params>\
            <param><value><string>a&lt;&amp;&gt;&#xD;\n\"ü'</string></value></param>\
            <param><value><int>-600</int></value></param>\
            <param><value><array><data><value><int>1</int></value><value><int>2</int></value></data></array></value></param>\
            <param><value><array><data></data></array></value></param></params></methodCall>";
        assert_eq!(call("auth.login", &arguments), want);
        let read = roxmltree::Document::parse(want).expect("XML");
        let first = read.descendants().find(|node| node.has_tag_name("string")).expect("a text");
        assert_eq!(first.text(), Some("a<&>\r\n\"ü'"));
    }

    #[test]
    fn a_text_may_have_no_type_and_be_empty() {
        for (inner, want) in [
            ("<value><string> a &amp; b </string></value>", " a & b "),
            ("<value>\n  a token\n</value>", "a token"),
            ("<value><![CDATA[a<b]]></value>", "a<b"),
            ("<value><string/></value>", ""),
            ("<value/>", ""),
            ("<value><nil/></value>", ""),
            ("<value><int/></value>", ""),
        ] {
            assert_eq!(text(inner).expect(inner), want, "{inner}");
        }
    }

    #[test]
    fn members_are_found_by_name_and_what_is_not_there_is_empty() {
        let member = |name: &str, value: &str| format!("<member><name>{name}</name><value>{value}</value></member>");
        let members = [
            member("a", "<i4> 7 </i4>"),
            member("b", "<boolean>1</boolean>"),
            member("c", "x"),
            member("d", "<array><data><value>1</value>\n<value/></data></array>"),
            member("e", "<i8>4294967296</i8>"),
            member("f", "<nil/>"),
            member("a", "<int>8</int>"),
            member("other", "<dateTime.iso8601>20260101T00:00:00</dateTime.iso8601>"),
        ];
        let body = answered(&format!("<value><struct>{}</struct></value>", members.concat()));
        let read = |value: Value<'_>| {
            let numbers =
                [value.number_of("a")?, value.number_of("e")?, value.number_of("f")?, value.number_of("none")?];
            let flags = [value.flag_of("b")?, value.flag_of("f")?, value.flag_of("none")?];
            let lists = [value.list_of("d")?.len(), value.list_of("f")?.len(), value.list_of("none")?.len()];
            Ok((numbers, flags, value.text_of("c")?, lists))
        };
        let read = answer(body.as_bytes(), read).expect("read").expect("no fault");
        assert_eq!(read, ([8, 4_294_967_296, 0, 0], [true, false, false], "x".to_owned(), [2, 0, 0]));
    }

    #[test]
    fn a_fault_is_no_answer() {
        let fault = |code: &str, text: &str| {
            format!(
                "<methodResponse><fault><value><struct><member><name>faultCode</name><value>{code}</value></member>\
                 <member><name>faultString</name><value><string>{text}</string></value></member></struct></value></fault></methodResponse>"
            )
        };
        let told =
            answer(fault("<int>2950</int>", "Either the password or username is incorrect.").as_bytes(), |value| {
                value.text()
            });
        let want = Refusal { code: 2950, text: "Either the password or username is incorrect.".to_owned() };
        assert_eq!(told.expect("read"), Err(want));
        let told =
            answer(fault("<string>x</string>", "y").as_bytes(), |value| value.text()).expect_err("a code is a number");
        assert!(told.to_string().contains("expected a number, found <string>"), "{told}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let bomb = "<!DOCTYPE a [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]><methodResponse>&b;</methodResponse>";
        let read = |body: &str| answer(body.as_bytes(), |value| value.list().map(|list| list.len()));
        for (body, want) in [
            (String::new(), "line 1, column 1: this is not XML"),
            ("<html><body/></html>".to_owned(), "line 1, column 1: this is no answer of XML-RPC"),
            ("<methodResponse/>".to_owned(), "line 1, column 1: <methodResponse> has no value"),
            (
                "<methodResponse><params><param/></params></methodResponse>".to_owned(),
                "line 1, column 25: <param> has no value",
            ),
            ("<methodResponse><fault/></methodResponse>".to_owned(), "line 1, column 17: <fault> has no value"),
            (answered("<value><array>"), "line 2, column 46: this is not XML"),
            (answered("<value><string>a</string></value>"), "line 2, column 39: expected a list, found <string>"),
            (answered("<value>a</value>"), "line 2, column 32: expected a list, found a text"),
            (
                answered("<value><array><data><int>1</int></data></array></value>"),
                "line 2, column 52: expected a value, found <int>",
            ),
            (bomb.to_owned(), "line 1, column 1: this is not XML: "),
        ] {
            let told = read(&body).expect_err(&body).to_string();
            assert!(told.starts_with(want), "{body}: {told}");
        }
        let whole = answered("<value><string>token</string></value>");
        for length in 0..whole.len() {
            assert!(answer(&whole.as_bytes()[..length], |value| value.text()).is_err(), "{length}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = answered(&format!("{}{}", "<value>".repeat(100_000), "</value>".repeat(100_000)));
        let told = answer(deep.as_bytes(), |value| value.list().map(|list| list.len())).expect_err("no list");
        assert!(told.to_string().contains("expected a list, found <value>"), "{told}");
    }
}
