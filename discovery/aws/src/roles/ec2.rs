//! Instances of EC2: a target for each that has an address.

mod instances; // what is read; pure

use std::collections::BTreeMap;
use std::time::Duration;

use rosterd_discovery::{Error, Reading, Sheet};
use rosterd_model::labels::ADDRESS;
use rosterd_model::{Names, TargetGroup};
use rosterd_rest::xml;
use tokio::time::Instant;
use tracing::debug;

use crate::config::{Filter, Wanted};
use crate::service::{Call, Service};
use crate::xml::Element;

pub(super) use instances::{Instance, instances};

pub(super) const VERSION: &str = "2016-11-15";
/// As many instances as a page may have: who asks for pages may ask more often.
const PAGE: &str = "1000";
/// Zones are asked for again after this time at the earliest, when one is not known.
const ZONES: Duration = Duration::from_secs(600);

pub(crate) struct Ec2 {
    pub(crate) service: Service,
    filters: Vec<Filter>,
    port: u16,
    /// The ids of zones, by name.
    zones: BTreeMap<String, String>,
    asked_zones: Option<Instant>,
}

impl Ec2 {
    pub(crate) fn new(service: Service, wanted: &Wanted) -> Self {
        let (filters, port) = (wanted.filters.clone(), wanted.port);
        Self { service, filters, port, zones: BTreeMap::new(), asked_zones: None }
    }

    pub(crate) async fn read(&mut self, region: &str) -> Result<Reading, Error> {
        let mut form = vec![("Version".to_owned(), VERSION.to_owned()), ("MaxResults".to_owned(), PAGE.to_owned())];
        form.extend(filters(&self.filters));
        let found = self.service.list("DescribeInstances", Call::Form(form), "NextToken", instances).await?;
        if found.iter().any(|instance| !self.zones.contains_key(&instance.zone)) {
            self.ask_zones().await;
        }
        let (mut sheet, mut names) = (Sheet::default(), Names::new());
        let group = |instance: &Instance| {
            let zone = self.zones.get(&instance.zone).map_or("", String::as_str);
            let target = instance.target(region, zone, self.port, &mut sheet, &mut names)?;
            Some(TargetGroup {
                source: region.into(),
                key: super::first_of([&instance.id, target.get(ADDRESS).unwrap_or_default()]).into(),
                targets: vec![target],
                ..TargetGroup::default()
            })
        };
        let groups = found.iter().filter_map(group).collect();
        Ok(Reading::Everything(super::of_region(region, groups)))
    }

    /// Who may not ask does without.
    async fn ask_zones(&mut self) {
        if self.asked_zones.is_some_and(|asked| asked.elapsed() < ZONES) {
            return;
        }
        let call = Call::form([("Version", VERSION)]);
        match self.service.ask("DescribeAvailabilityZones", &call, zones).await {
            Ok(zones) => (self.zones, self.asked_zones) = (zones, Some(Instant::now())),
            Err(error) => debug!(%error, "the ids of zones are not known"),
        }
    }
}

/// Filters, as EC2 numbers them.
pub(super) fn filters(filters: &[Filter]) -> impl Iterator<Item = (String, String)> {
    filters.iter().zip(1..).flat_map(|(filter, number)| {
        let name = (format!("Filter.{number}.Name"), filter.name.clone());
        let values = filter.values.iter().zip(1..);
        let values = values.map(move |(value, at)| (format!("Filter.{number}.Value.{at}"), value.clone()));
        std::iter::once(name).chain(values)
    })
}

fn zones(text: &str) -> Result<BTreeMap<String, String>, rosterd_rest::Fault> {
    let document = xml(text)?;
    let zones = document.root_element().listed("availabilityZoneInfo")?;
    Ok(zones.map(|zone| (zone.text_of("zoneName").to_owned(), zone.text_of("zoneId").to_owned())).collect())
}
