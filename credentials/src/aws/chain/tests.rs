//! Who is found to give keys.

use super::*;

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().copied().collect()
}

fn keys(id: &str) -> Origin {
    Origin::Keys(Keys { id: id.to_owned(), secret: Secret::new("s"), ..Keys::default() })
}

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "env"), ("AWS_SECRET_ACCESS_KEY", "s")];
const FILES: &str = "
[profile keys]
aws_access_key_id = keys
aws_secret_access_key = s
[profile role]
role_arn = arn:role
source_profile = keys
external_id = e
duration_seconds = 3600
[profile twice]
role_arn = arn:twice
source_profile = role
role_session_name = me
[profile self]
role_arn = arn:self
source_profile = self
aws_access_key_id = self
aws_secret_access_key = s
[profile instance]
role_arn = arn:instance
credential_source = Ec2InstanceMetadata
[profile environment]
role_arn = arn:environment
credential_source = Environment
[profile container]
role_arn = arn:container
credential_source = EcsContainer
[profile web]
role_arn = arn:web
web_identity_token_file = /token
[profile command]
credential_process = /bin/keys --for me
[profile empty]
region = eu-central-1
[profile half]
aws_access_key_id = half
[profile mfa]
role_arn = arn:mfa
source_profile = keys
mfa_serial = 1
[profile round]
role_arn = arn:round
source_profile = about
[profile about]
role_arn = arn:about
source_profile = round
[profile lost]
role_arn = arn:lost
source_profile = none
[profile person]
sso_session = me
[profile odd]
credential_source = Odd
[profile session]
aws_access_key_id = session
aws_secret_access_key = s
aws_session_token = t
[profile short]
role_arn = arn:short
source_profile = keys
duration_seconds = 60
[profile browser]
login_session = me
[profile metadata]
ec2_metadata_service_endpoint = http://there/
ec2_metadata_v1_disabled = true
ec2_instance_profile_name = theirs
";

fn found(who: &Who, variables: &[(&str, &str)]) -> Result<Origin, AwsError> {
    let (environment, profiles) = (environment(variables), Profiles::parse(FILES, ""));
    Chain { who, environment: &environment, profiles: &profiles }.origin()
}

fn of_profile(profile: &str, variables: &[(&str, &str)]) -> Result<Origin, AwsError> {
    found(&Who { profile: profile.to_owned(), ..Who::default() }, variables)
}

fn role(base: Origin, arn: &str, external_id: &str, session_name: &str, seconds: u64) -> Origin {
    let (arn, external_id, session_name) = (arn.to_owned(), external_id.to_owned(), session_name.to_owned());
    Origin::Role(Box::new(base), Role { arn, external_id, session_name, lasts: Duration::from_secs(seconds) })
}

#[test]
fn keys_that_are_written_come_first_then_the_environment_then_the_profile_then_the_machine() {
    let written = Who { access_key: "mine".to_owned(), secret_key: Secret::new("s"), ..Who::default() };
    assert_eq!(found(&written, &KEYS).unwrap(), keys("mine"));
    let half = Who { access_key: "mine".to_owned(), ..Who::default() };
    assert_eq!(found(&half, &KEYS).unwrap(), keys("env"), "half a pair is none");
    let old = [("AWS_ACCESS_KEY", "env"), ("AWS_SECRET_KEY", "s")];
    assert_eq!(found(&Who::default(), &old).unwrap(), keys("env"));
    assert_eq!(of_profile("keys", &KEYS).unwrap(), keys("keys"), "a profile that is written counts more");
    let by_variable = [("AWS_PROFILE", "keys")];
    assert_eq!(found(&Who::default(), &by_variable).unwrap(), keys("keys"));
    assert_eq!(found(&Who::default(), &[KEYS[0], KEYS[1], by_variable[0]]).unwrap(), keys("env"));
    let web = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"), ("AWS_ROLE_ARN", "arn:r"), by_variable[0]];
    let identity = |file: &str, arn: &str| {
        let (token_file, role_arn, session_name) = (file.into(), arn.to_owned(), "rosterd".to_owned());
        Origin::WebIdentity(WebIdentity { token_file, role_arn, session_name })
    };
    assert_eq!(found(&Who::default(), &web).unwrap(), identity("/t", "arn:r"));
    assert_eq!(of_profile("web", &[]).unwrap(), identity("/token", "arn:web"));
    assert_eq!(found(&Who::default(), &[]).unwrap(), Origin::Instance);
    assert_eq!(of_profile("empty", &[]).unwrap(), Origin::Instance);
    assert_eq!(found(&Who::default(), &[("AWS_EC2_METADATA_DISABLED", "TRUE")]).unwrap(), Origin::Nowhere);
}

#[test]
fn roles_stand_on_what_the_profile_says() {
    let once = role(keys("keys"), "arn:role", "e", "rosterd", 3600);
    assert_eq!(of_profile("role", &[]).unwrap(), once);
    assert_eq!(of_profile("twice", &[]).unwrap(), role(once.clone(), "arn:twice", "", "me", 900));
    assert_eq!(of_profile("self", &[]).unwrap(), role(keys("self"), "arn:self", "", "rosterd", 900));
    let of = |base, name| role(base, &format!("arn:{name}"), "", "rosterd", 900);
    assert_eq!(of_profile("instance", &[]).unwrap(), of(Origin::Instance, "instance"));
    assert_eq!(of_profile("environment", &KEYS).unwrap(), of(keys("env"), "environment"));
    let who = Who {
        profile: "role".to_owned(),
        role_arn: "arn:mine".to_owned(),
        external_id: "x".to_owned(),
        ..Who::default()
    };
    assert_eq!(found(&who, &[]).unwrap(), role(once, "arn:mine", "x", "rosterd", 900));
    let command = Origin::Command { profile: "command".to_owned(), command: "/bin/keys --for me".to_owned() };
    assert_eq!(of_profile("command", &[]).unwrap(), command);
    let short = of_profile("short", &[]).unwrap();
    assert_eq!(short, role(keys("keys"), "arn:short", "", "rosterd", 900), "so long at least");
}

#[test]
fn keys_of_a_session_come_with_its_token_and_sessions_have_names() {
    let token = |origin: Result<Origin, AwsError>| match origin {
        Ok(Origin::Keys(keys)) => keys.token.expose().to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(token(found(&Who::default(), &[KEYS[0], KEYS[1], ("AWS_SESSION_TOKEN", "t")])), "t");
    assert_eq!(token(of_profile("session", &[])), "t");
    assert_eq!(token(found(&Who::default(), &[("AWS_DEFAULT_PROFILE", "session")])), "t");
    let web = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"), ("AWS_ROLE_ARN", "arn:r"), ("AWS_ROLE_SESSION_NAME", "me")];
    let Ok(Origin::WebIdentity(identity)) = found(&Who::default(), &web) else { panic!("a token is exchanged") };
    assert_eq!(identity.session_name, "me");
}

#[test]
fn containers_are_asked_where_a_token_is_safe() {
    let relative = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials");
    let container = |url: &str, authorization| Origin::Container(Container { url: url.to_owned(), authorization });
    let agent = container("http://169.254.170.2/v2/credentials", Authorization::None);
    assert_eq!(found(&Who::default(), &[relative]).unwrap(), agent);
    assert_eq!(of_profile("container", &[relative]).unwrap(), role(agent, "arn:container", "", "rosterd", 900));
    let full = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    for (url, is_safe) in [
        ("http://127.0.0.7:80/x", true),
        ("http://localhost/x", true),
        ("http://[::1]:9/x", true),
        ("http://169.254.170.23/v1/credentials", true),
        ("http://[fd00:ec2::23]/v1", true),
        ("https://keys.example.com/", true),
        ("http://keys.example.com/", false),
        ("http://169.254.169.254/", false),
        ("nonsense", false),
    ] {
        assert_eq!(found(&Who::default(), &[(full, url), relative]).is_ok(), is_safe, "{url}");
    }
    let token = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "t");
    let file = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/t");
    let url = (full, "http://localhost/x");
    let with = |authorization| container("http://localhost/x", authorization);
    assert_eq!(found(&Who::default(), &[url, token]).unwrap(), with(Authorization::Value(Secret::new("t"))));
    assert_eq!(found(&Who::default(), &[url, token, file]).unwrap(), with(Authorization::File("/t".into())));
}

#[test]
fn what_cannot_give_keys_is_told_with_its_place() {
    for (profile, want) in [
        ("none", "there is no profile \"none\" in the shared files of AWS"),
        ("half", "profile \"half\" is of no use: aws_access_key_id and aws_secret_access_key need each other"),
        ("mfa", "profile \"mfa\" is of no use: it has mfa_serial, and nobody is here to type a code"),
        ("round", "profile \"round\" is of no use: its source_profile leads back to it, and it has no keys"),
        ("lost", "profile \"lost\" is of no use: its source_profile \"none\" is in none of the shared files"),
        ("environment", "credential_source is Environment, and the environment has no keys"),
        ("container", "credential_source is EcsContainer, and the environment names no container"),
        ("person", "it is for people who log in by a browser"),
        ("browser", "it is for people who log in by a browser"),
        ("odd", "credential_source \"Odd\" is none of"),
    ] {
        let told = of_profile(profile, &[]).expect_err(profile).to_string();
        assert!(told.contains(want), "{profile}: {told}");
    }
    let alone = found(&Who::default(), &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/t")]).expect_err("no role");
    assert!(alone.to_string().contains("without AWS_ROLE_ARN"), "{alone}");
}

#[test]
fn the_region_is_that_of_who_says_it_nearest() {
    let region = |who: &Who, variables: &[(&str, &str)]| {
        let (environment, profiles) = (environment(variables), Profiles::parse(FILES, ""));
        Chain { who, environment: &environment, profiles: &profiles }.region().map(str::to_owned)
    };
    let variables = [("AWS_REGION", "r"), ("AWS_DEFAULT_REGION", "d"), ("AWS_PROFILE", "empty")];
    let written = Who { region: "w".to_owned(), profile: "empty".to_owned(), ..Who::default() };
    assert_eq!(region(&written, &variables).as_deref(), Some("w"));
    assert_eq!(region(&Who { region: String::new(), ..written }, &variables).as_deref(), Some("eu-central-1"));
    assert_eq!(region(&Who::default(), &variables).as_deref(), Some("r"));
    assert_eq!(region(&Who::default(), &variables[1..]).as_deref(), Some("d"));
    assert_eq!(region(&Who::default(), &variables[2..]).as_deref(), Some("eu-central-1"));
    assert_eq!(region(&Who::default(), &[]), None);
}

#[test]
fn endpoints_are_configured_or_those_of_aws() {
    let endpoint = |who: &Who, variables: &[(&str, &str)], service: &str| {
        let (environment, profiles) = (environment(variables), Profiles::parse(FILES, ""));
        let chain = Chain { who, environment: &environment, profiles: &profiles };
        chain.endpoint(service, "us-east-1").map(|url| url.to_string()).unwrap_or_else(|error| error.to_string())
    };
    let plain = Who::default();
    let all = ("AWS_ENDPOINT_URL", "http://all");
    let own = ("AWS_ENDPOINT_URL_EC2", "http://own/prefix");
    assert_eq!(endpoint(&plain, &[], "ec2"), "https://ec2.us-east-1.amazonaws.com/");
    assert_eq!(endpoint(&plain, &[all], "ec2"), "http://all/");
    assert_eq!(endpoint(&plain, &[all, own], "ec2"), "http://own/prefix");
    let ignored = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
    assert_eq!(endpoint(&plain, &[all, own, ignored], "ec2"), "https://ec2.us-east-1.amazonaws.com/");
    let fips = ("AWS_USE_FIPS_ENDPOINT", "true");
    assert_eq!(endpoint(&plain, &[fips], "ec2"), "https://ec2-fips.us-east-1.amazonaws.com/");
    let only = |fips| Who { fips_sts: Some(fips), ..Who::default() };
    assert_eq!(endpoint(&only(true), &[], "sts"), "https://sts-fips.us-east-1.amazonaws.com/");
    assert_eq!(endpoint(&only(true), &[], "ec2"), "https://ec2.us-east-1.amazonaws.com/");
    assert_eq!(endpoint(&only(false), &[fips], "sts"), "https://sts.us-east-1.amazonaws.com/");
    assert_eq!(endpoint(&only(true), &[all], "sts"), "https://sts-fips.us-east-1.amazonaws.com/");
    assert_eq!([true, false].map(|fips| endpoint(&only(fips), &[all], "ec2")), ["http://all/"; 2]);
    assert_eq!(endpoint(&only(false), &[all], "sts"), "http://all/");
    assert!(endpoint(&plain, &[("AWS_ENDPOINT_URL_EC2", "own")], "ec2").contains("AWS_ENDPOINT_URL_EC2"));
}

#[test]
fn the_metadata_of_the_machine_are_where_they_are_said_to_be() {
    let of_profile = |profile: &str, variables: &[(&str, &str)]| {
        let who = Who { profile: profile.to_owned(), ..Who::default() };
        let (environment, profiles) = (environment(variables), Profiles::parse(FILES, ""));
        Chain { who: &who, environment: &environment, profiles: &profiles }.instance()
    };
    let instance = |variables: &[(&str, &str)]| of_profile("", variables);
    let usual = Instance { endpoint: "http://169.254.169.254".to_owned(), allows_v1: true, role: None };
    assert_eq!(instance(&[]), Some(usual.clone()));
    let mode = ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6");
    let ipv6 = Instance { endpoint: "http://[fd00:ec2::254]".to_owned(), ..usual };
    assert_eq!(instance(&[mode]), Some(ipv6));
    let told = [
        mode,
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://here/"),
        ("AWS_EC2_METADATA_V1_DISABLED", "true"),
        ("AWS_EC2_INSTANCE_PROFILE_NAME", "mine"),
    ];
    let endpoint = "http://here/".to_owned();
    let told_so = Some(Instance { endpoint, allows_v1: false, role: Some("mine".to_owned()) });
    assert_eq!(instance(&told), told_so);
    assert_eq!(of_profile("metadata", &told), told_so, "the environment counts more");
    let endpoint = "http://there/".to_owned();
    let written = Some(Instance { endpoint, allows_v1: false, role: Some("theirs".to_owned()) });
    assert_eq!(of_profile("metadata", &[]), written);
}
