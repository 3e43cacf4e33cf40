//! Where services of AWS are, by region. Pure.

/// Which of the endpoints of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Variant {
    /// With cryptography as FIPS 140 wants it.
    pub(super) fips: bool,
    /// With IPv6 addresses, too.
    pub(super) dual_stack: bool,
}

/// A part of AWS with accounts and names of its own.
struct Partition {
    /// What the names of its regions begin with.
    regions: &'static [&'static str],
    suffix: &'static str,
    dual_stack: &'static str,
}

const AWS: Partition = Partition { regions: &[], suffix: "amazonaws.com", dual_stack: "api.aws" };
const OTHERS: [Partition; 6] = [
    Partition { regions: &["cn-"], suffix: "amazonaws.com.cn", dual_stack: "api.amazonwebservices.com.cn" },
    Partition { regions: &["eusc-"], suffix: "amazonaws.eu", dual_stack: "api.amazonwebservices.eu" },
    Partition { regions: &["us-iso-"], suffix: "c2s.ic.gov", dual_stack: "api.aws.ic.gov" },
    Partition { regions: &["us-isob-"], suffix: "sc2s.sgov.gov", dual_stack: "api.aws.scloud" },
    Partition { regions: &["eu-isoe-"], suffix: "cloud.adc-e.uk", dual_stack: "api.cloud-aws.adc-e.uk" },
    Partition { regions: &["us-isof-", "eu-isof-"], suffix: "csp.hci.ic.gov", dual_stack: "api.aws.hci.ic.gov" },
];

/// The endpoint of a service in a region, without a path.
pub(super) fn url(service: &str, region: &str, variant: Variant) -> String {
    let is_in = |partition: &&Partition| partition.regions.iter().any(|beginning| region.starts_with(beginning));
    let partition = OTHERS.iter().find(is_in).unwrap_or(&AWS);
    let is_government = region.starts_with("us-gov-");
    // There the plain endpoints of these are as FIPS wants them.
    let fips = match (variant.fips, is_government, service) {
        (false, ..) => "",
        (true, true, "kafka") => "",
        (true, true, "ec2" | "rds" | "elasticache" | "sts") if !variant.dual_stack => "",
        (true, ..) => "-fips",
    };
    let (service, suffix) = match (variant.dual_stack, service) {
        (false, service) => (service, partition.suffix),
        (true, "kafka") => ("kafka-api", partition.dual_stack),
        (true, service) => (service, partition.dual_stack),
    };
    format!("https://{service}{fips}.{region}.{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_those_of_the_partition_of_the_region() {
        let plain = Variant::default();
        let fips = Variant { fips: true, ..plain };
        let dual = Variant { dual_stack: true, ..plain };
        let both = Variant { fips: true, dual_stack: true };
        for (service, region, variant, want) in [
            ("ec2", "eu-west-1", plain, "ec2.eu-west-1.amazonaws.com"),
            ("kafka", "cn-north-1", plain, "kafka.cn-north-1.amazonaws.com.cn"),
            ("sts", "eusc-de-east-1", plain, "sts.eusc-de-east-1.amazonaws.eu"),
            ("rds", "us-iso-east-1", plain, "rds.us-iso-east-1.c2s.ic.gov"),
            ("rds", "us-isob-east-1", plain, "rds.us-isob-east-1.sc2s.sgov.gov"),
            ("rds", "eu-isoe-west-1", plain, "rds.eu-isoe-west-1.cloud.adc-e.uk"),
            ("rds", "us-isof-south-1", plain, "rds.us-isof-south-1.csp.hci.ic.gov"),
            ("ec2", "moon-1", plain, "ec2.moon-1.amazonaws.com"),
            ("sts", "us-east-1", fips, "sts-fips.us-east-1.amazonaws.com"),
            ("sts", "us-gov-west-1", fips, "sts.us-gov-west-1.amazonaws.com"),
            ("ecs", "us-gov-west-1", fips, "ecs-fips.us-gov-west-1.amazonaws.com"),
            ("ec2", "eu-west-1", dual, "ec2.eu-west-1.api.aws"),
            ("kafka", "eu-west-1", dual, "kafka-api.eu-west-1.api.aws"),
            ("kafka", "eu-west-1", both, "kafka-api-fips.eu-west-1.api.aws"),
            ("kafka", "us-gov-west-1", both, "kafka-api.us-gov-west-1.api.aws"),
            ("ec2", "cn-north-1", dual, "ec2.cn-north-1.api.amazonwebservices.com.cn"),
        ] {
            assert_eq!(url(service, region, variant), format!("https://{want}"), "{service} {region} {variant:?}");
        }
    }
}
