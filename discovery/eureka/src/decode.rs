//! The list of applications in XML, and what becomes of it. Pure.

use std::collections::BTreeMap;
use std::str::FromStr;

use rosterd_discovery::Sheet;
use rosterd_model::{Labels, Names, TargetGroup};
use rosterd_rest::{Fault, xml};

/// What is read in one piece.
const SOURCE: &str = "apps";
/// The element that is the list: nothing in it is not the same as something else.
const LIST: &str = "applications";
/// The port of an instance that names none.
const PORT: i64 = 80;

/// Elements whose text becomes a label.
const TEXTS: [(&str, &str); 10] = [
    ("hostName", "__meta_eureka_app_instance_hostname"),
    ("homePageUrl", "__meta_eureka_app_instance_homepage_url"),
    ("statusPageUrl", "__meta_eureka_app_instance_statuspage_url"),
    ("healthCheckUrl", "__meta_eureka_app_instance_healthcheck_url"),
    ("ipAddr", "__meta_eureka_app_instance_ip_addr"),
    ("vipAddress", "__meta_eureka_app_instance_vip_address"),
    ("secureVipAddress", "__meta_eureka_app_instance_secure_vip_address"),
    ("status", "__meta_eureka_app_instance_status"),
    ("instanceId", "__meta_eureka_app_instance_id"),
    ("instanceId", "instance"),
];

/// A group for each application.
pub(super) fn groups(body: &[u8]) -> Result<Vec<TargetGroup>, Fault> {
    let text = String::from_utf8_lossy(body);
    let document = xml(&text)?;
    let (mut sheet, mut names) = (Sheet::default(), Names::new());
    let mut apps = BTreeMap::<String, Vec<Labels>>::new();
    let root = document.root_element();
    if root.tag_name().name() != LIST {
        return Err(Fault::new(format!("expected <{LIST}>, found <{}>", root.tag_name().name())));
    }
    for app in children(root, "application") {
        let name = text_of(app, "name");
        for instance in children(app, "instance") {
            sheet.set("__meta_eureka_app_name", &name);
            describe(instance, &mut sheet)?;
            apps.entry(name.clone()).or_default().push(sheet.build(&mut names));
        }
    }
    let group = |(name, targets): (String, Vec<Labels>)| TargetGroup {
        source: SOURCE.into(),
        key: name.into(),
        targets,
        ..TargetGroup::default()
    };
    Ok(apps.into_iter().map(group).collect())
}

type Node<'a> = roxmltree::Node<'a, 'a>;

fn describe(instance: Node<'_>, sheet: &mut Sheet) -> Result<(), Fault> {
    for (element, label) in TEXTS {
        sheet.set(label, &text_of(instance, element));
    }
    let country = child(instance, "countryId").map_or(Ok(0), number)?;
    sheet.number("__meta_eureka_app_instance_country_id", country);
    let port = child(instance, "port");
    sheet.endpoint(&text_of(instance, "hostName"), port.map_or(Ok(PORT), number)?);
    if let Some(port) = port {
        sheet.number("__meta_eureka_app_instance_port", number(port)?);
        sheet.flag("__meta_eureka_app_instance_port_enabled", is_enabled(port)?);
    }
    if let Some(port) = child(instance, "securePort") {
        sheet.number("__meta_eureka_app_instance_secure_port", number(port)?);
        sheet.flag("__meta_eureka_app_instance_secure_port_enabled", is_enabled(port)?);
    }
    if let Some(datacenter) = child(instance, "dataCenterInfo") {
        sheet.set("__meta_eureka_app_instance_datacenterinfo_name", &text_of(datacenter, "name"));
        sheet.map("__meta_eureka_app_instance_datacenterinfo_metadata_", metadata(datacenter));
    }
    sheet.map("__meta_eureka_app_instance_metadata_", metadata(instance));
    Ok(())
}

fn children<'a>(node: Node<'a>, name: &'static str) -> impl Iterator<Item = Node<'a>> {
    node.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
}

/// The last element of that name, as Go takes it.
fn child<'a>(node: Node<'a>, name: &'static str) -> Option<Node<'a>> {
    children(node, name).last()
}

/// The text that stands in the element of that name itself.
fn text_of(node: Node<'_>, name: &'static str) -> String {
    child(node, name).map(own_text).unwrap_or_default()
}

fn own_text(node: Node<'_>) -> String {
    node.children().filter(roxmltree::Node::is_text).filter_map(|text| text.text()).collect()
}

/// Names and contents of metadata, these as they are written.
fn metadata<'a>(node: Node<'a>) -> impl Iterator<Item = (&'a str, &'a str)> {
    let entries = child(node, "metadata").into_iter().flat_map(|metadata| metadata.children());
    entries.filter(roxmltree::Node::is_element).map(|entry| (entry.tag_name().name(), written(entry)))
}

/// What is written in an element.
fn written<'a>(node: Node<'a>) -> &'a str {
    let (first, last) = (node.first_child(), node.last_child());
    let Some((first, last)) = first.zip(last) else { return "" };
    &node.document().input_text()[first.range().start..last.range().end]
}

/// Empty is 0.
fn number(node: Node<'_>) -> Result<i64, Fault> {
    let text = own_text(node);
    if text.is_empty() { Ok(0) } else { parse(node, text.trim(), "a number") }
}

/// As Go spells booleans.
fn is_enabled(node: Node<'_>) -> Result<bool, Fault> {
    match node.attribute("enabled").unwrap_or_default().trim() {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" | "" => Ok(false),
        other => parse(node, other, "true or false"),
    }
}

fn parse<T: FromStr>(node: Node<'_>, text: &str, what: &str) -> Result<T, Fault> {
    text.parse().map_err(|_| {
        let place = node.document().text_pos_at(node.range().start);
        let name = node.tag_name().name();
        Fault::new(format!("line {}, column {}: {text:?} in <{name}> is not {what}", place.row, place.col))
    })
}
