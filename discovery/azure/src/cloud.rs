//! The clouds of Azure, and where things are in each. Pure.

/// A cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cloud {
    Public,
    China,
    UsGovernment,
}

impl Cloud {
    /// By its name, however it is capitalised. That of Germany is closed; the SDK takes it for the public one.
    pub(super) fn of(name: &str) -> Option<Self> {
        match &*name.to_ascii_uppercase() {
            "AZURECLOUD" | "AZUREPUBLICCLOUD" | "AZUREGERMANCLOUD" => Some(Self::Public),
            "AZURECHINACLOUD" => Some(Self::China),
            "AZUREUSGOVERNMENT" | "AZUREUSGOVERNMENTCLOUD" => Some(Self::UsGovernment),
            _ => None,
        }
    }

    /// Where tokens are made.
    pub(super) const fn authority(self) -> &'static str {
        match self {
            Self::Public => "https://login.microsoftonline.com",
            Self::China => "https://login.chinacloudapi.cn",
            Self::UsGovernment => "https://login.microsoftonline.us",
        }
    }

    /// Where the Resource Manager is.
    pub(super) const fn endpoint(self) -> &'static str {
        match self {
            Self::Public => "https://management.azure.com",
            Self::China => "https://management.chinacloudapi.cn",
            Self::UsGovernment => "https://management.usgovcloudapi.net",
        }
    }

    /// What a token for it is good for. The two slashes of the first are right.
    pub(super) const fn scope(self) -> &'static str {
        match self {
            Self::Public => "https://management.core.windows.net//.default",
            Self::China => "https://management.core.chinacloudapi.cn/.default",
            Self::UsGovernment => "https://management.core.usgovcloudapi.net/.default",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clouds_are_known_however_their_names_are_capitalised() {
        for (name, cloud) in [
            ("AzurePublicCloud", Cloud::Public),
            ("azurecloud", Cloud::Public),
            ("AZUREGERMANCLOUD", Cloud::Public),
            ("AzureChinaCloud", Cloud::China),
            ("AzureUSGovernment", Cloud::UsGovernment),
            ("azureusgovernmentcloud", Cloud::UsGovernment),
        ] {
            assert_eq!(Cloud::of(name), Some(cloud), "{name}");
        }
        assert_eq!([Cloud::of(""), Cloud::of("AzureStackCloud")], [None, None]);
    }
}
