//! The client's keys inline in a larger section. serde cannot refuse unknown keys of a flattened struct, so the section
//! is read as one flat struct that knows all keys, and split in two afterwards.

/// Whether a field has the value that it has when its key is left out.
#[doc(hidden)]
pub fn unset<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Declares a section of a configuration that has the keys of [`HttpClientConfig`](super::HttpClientConfig) beside its
/// own: a struct with these fields and `client`, its `Default`, and its `Serialize` and `Deserialize`, flat.
///
/// Each field states its default; docs come before serde attributes. The struct must be `Clone`; the crate needs `serde`.
///
/// ```
/// rosterd_client::with_http_client! {
///     /// Where to read from.
///     #[derive(Debug, Clone, PartialEq)]
///     pub struct Config {
///         /// The address of the source.
///         pub url: String = String::new(),
///         /// How many to read at once.
///         #[serde(rename = "batch", skip_serializing_if = "Option::is_none")]
///         pub size: Option<u32> = None,
///     }
/// }
///
/// let config: Config = serde_yaml::from_str("{url: 'http://a', follow_redirects: false}").unwrap();
/// assert!(!config.client.follow_redirects && config.client.enable_http2);
/// assert!(serde_yaml::from_str::<Config>("{url: 'http://a', follow_redirect: false}").is_err());
/// ```
#[macro_export]
macro_rules! with_http_client {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $doc:expr])*
                $(#[serde($($serde:tt)*)])*
                $field_vis:vis $field:ident: $type:ty = $default:expr
            ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis struct $name {
            $( $(#[doc = $doc])* $field_vis $field: $type, )*
            /// How the HTTP client authenticates and connects; its keys stand beside the others.
            $vis client: $crate::HttpClientConfig,
        }

        impl ::core::default::Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )* client: ::core::default::Default::default() }
            }
        }

        const _: () = {
            #[allow(unused_imports)]
            use $crate::unset as client_key_unset;

            #[derive(::serde::Serialize, ::serde::Deserialize)]
            #[serde(default, deny_unknown_fields, expecting = "a map of keys and values")]
            struct Flat {
                $( $(#[serde($($serde)*)])* $field: $type, )*
                #[serde(skip_serializing_if = "client_key_unset")]
                basic_auth: ::core::option::Option<$crate::BasicAuth>,
                #[serde(skip_serializing_if = "client_key_unset")]
                authorization: ::core::option::Option<$crate::Authorization>,
                #[serde(skip_serializing_if = "client_key_unset")]
                oauth2: ::core::option::Option<$crate::OAuth2>,
                #[serde(skip_serializing_if = "client_key_unset")]
                bearer_token: $crate::Secret,
                #[serde(skip_serializing_if = "client_key_unset")]
                bearer_token_file: ::std::path::PathBuf,
                #[serde(skip_serializing_if = "client_key_unset")]
                tls_config: $crate::TlsConfig,
                follow_redirects: bool,
                enable_http2: bool,
                #[serde(skip_serializing_if = "client_key_unset")]
                proxy_url: $crate::SafeUrl,
                #[serde(skip_serializing_if = "client_key_unset")]
                no_proxy: ::std::string::String,
                #[serde(skip_serializing_if = "client_key_unset")]
                proxy_from_environment: bool,
                #[serde(skip_serializing_if = "client_key_unset")]
                proxy_connect_header:
                    ::std::collections::BTreeMap<::std::string::String, ::std::vec::Vec<$crate::Secret>>,
                #[serde(skip_serializing_if = "client_key_unset")]
                http_headers: ::std::collections::BTreeMap<::std::string::String, $crate::Header>,
            }

            impl ::core::default::Default for Flat {
                fn default() -> Self {
                    <$name as ::core::default::Default>::default().into()
                }
            }

            impl ::core::convert::From<$name> for Flat {
                fn from(config: $name) -> Self {
                    let $name { $( $field, )* client } = config;
                    let $crate::HttpClientConfig {
                        basic_auth,
                        authorization,
                        oauth2,
                        bearer_token,
                        bearer_token_file,
                        tls_config,
                        follow_redirects,
                        enable_http2,
                        proxy_url,
                        no_proxy,
                        proxy_from_environment,
                        proxy_connect_header,
                        http_headers,
                    } = client;
                    Self {
                        $( $field, )*
                        basic_auth,
                        authorization,
                        oauth2,
                        bearer_token,
                        bearer_token_file,
                        tls_config,
                        follow_redirects,
                        enable_http2,
                        proxy_url,
                        no_proxy,
                        proxy_from_environment,
                        proxy_connect_header,
                        http_headers,
                    }
                }
            }

            impl ::core::convert::From<Flat> for $name {
                fn from(flat: Flat) -> Self {
                    Self {
                        $( $field: flat.$field, )*
                        client: $crate::HttpClientConfig {
                            basic_auth: flat.basic_auth,
                            authorization: flat.authorization,
                            oauth2: flat.oauth2,
                            bearer_token: flat.bearer_token,
                            bearer_token_file: flat.bearer_token_file,
                            tls_config: flat.tls_config,
                            follow_redirects: flat.follow_redirects,
                            enable_http2: flat.enable_http2,
                            proxy_url: flat.proxy_url,
                            no_proxy: flat.no_proxy,
                            proxy_from_environment: flat.proxy_from_environment,
                            proxy_connect_header: flat.proxy_connect_header,
                            http_headers: flat.http_headers,
                        },
                    }
                }
            }

            impl ::serde::Serialize for $name {
                fn serialize<S: ::serde::Serializer>(
                    &self,
                    serializer: S,
                ) -> ::core::result::Result<S::Ok, S::Error> {
                    ::serde::Serialize::serialize(&Flat::from(::core::clone::Clone::clone(self)), serializer)
                }
            }

            impl<'de> ::serde::Deserialize<'de> for $name {
                fn deserialize<D: ::serde::Deserializer<'de>>(
                    deserializer: D,
                ) -> ::core::result::Result<Self, D::Error> {
                    <Flat as ::serde::Deserialize>::deserialize(deserializer).map(Self::from)
                }
            }
        };
    };
}

#[cfg(test)]
mod tests {
    with_http_client! {
        /// A section for tests.
        #[derive(Debug, Clone, PartialEq)]
        struct Section {
            /// An own key.
            url: String = "http://default".to_owned(),
            /// An own key with attributes.
            /// And two lines.
            #[serde(rename = "size")]
            #[serde(skip_serializing_if = "Option::is_none")]
            limit: Option<u32> = None,
        }
    }

    const ALL: &str = "
url: http://a
size: 7
basic_auth: {username: u, password_file: p}
authorization: {type: Token, credentials_file: f}
oauth2: {client_id: id, token_url: 'http://t', scopes: [a], endpoint_params: {x: y}, claims: {a: [1]}}
bearer_token_file: b
tls_config: {ca_file: ca, server_name: s, insecure_skip_verify: true, min_version: TLS12, max_version: TLS13}
follow_redirects: false
enable_http2: false
proxy_url: http://proxy:1
no_proxy: example.com
proxy_from_environment: true
proxy_connect_header: {X-A: []}
http_headers: {X-B: {values: [v], files: [h]}}
";

    #[test]
    fn a_section_comes_back_equal() {
        let section: Section = serde_yaml::from_str(ALL).expect("parses");
        assert_eq!((section.url.as_str(), section.limit), ("http://a", Some(7)));
        let shown = serde_yaml::to_string(&section).expect("serialises");
        assert_eq!(serde_yaml::from_str::<Section>(&shown).expect("parses again"), section);
        let wanted: serde_yaml::Value = serde_yaml::from_str(ALL).expect("parses");
        assert_eq!(serde_yaml::from_str::<serde_yaml::Value>(&shown).expect("parses"), wanted);
    }

    #[test]
    fn every_key_of_the_client_is_a_key_of_the_section() {
        let section: Section = serde_yaml::from_str(ALL).expect("parses");
        let flat = serde_json::to_value(&section).expect("serialises");
        let client = serde_json::to_value(&section.client).expect("serialises");
        for (key, value) in client.as_object().expect("a map") {
            assert_eq!(flat.get(key), Some(value), "{key}");
        }
    }

    #[test]
    fn what_is_left_out_has_its_default_and_is_not_shown() {
        let section: Section = serde_yaml::from_str("{}").expect("parses");
        assert_eq!(section, Section::default());
        let shown = serde_json::to_string(&section).expect("serialises");
        assert_eq!(shown, r#"{"url":"http://default","follow_redirects":true,"enable_http2":true}"#);
    }

    #[test]
    fn unknown_keys_are_refused_at_every_depth() {
        for text in ["{urls: x}", "{limit: 7}", "{client: {}}", "{basic_auth: {user: x}}", "{oauth2: {id: x}}"] {
            let error = serde_yaml::from_str::<Section>(text).expect_err(text).to_string();
            assert!(error.contains("unknown field"), "{text}: {error}");
        }
    }
}
