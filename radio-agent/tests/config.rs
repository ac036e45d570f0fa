//! Configuration and command line: what is read, and what is said of each mistake.

use std::ffi::OsString;
use std::path::PathBuf;

use dot11::{Akm, MacAddr};
use proptest::prelude::*;
use radio_agent::arguments::{self, Arguments, Command};
use radio_agent::config::{BackendConfig, Channel, Config, MAX_BSSES, Security};

const GOOD: &str = r#"
# A radio in the hall.
radio = "02:bb:00:00:00:07"   # permanent address
mtu = 1492

[backend]
kind = 'nl80211'
phy = "phy0"
channel = 36

[[bss]]
bssid = "02:AA:00:00:00:01"
ssid = "caf\u00e9 \"7\""
service = "3f2b6c1e-54a7-4d1b-9a34-0c2f6f1f8a11"
security = "psk-sha256"
gateway = "gateway.example:5247"

[[bss]] # another
bssid = "02:aa:00:00:00:02"
ssid = "guests"
service = "3f2b6c1e-54a7-4d1b-9a34-0c2f6f1f8a12"
security = "open"
gateway = "[2001:db8::1]:5248"
"#;

#[test]
fn a_configuration_is_read() {
    let config = Config::parse(GOOD).unwrap();
    assert_eq!(config.radio, Some(MacAddr([2, 0xbb, 0, 0, 0, 7])));
    assert_eq!(config.mtu, 1492);
    assert_eq!(config.backend, BackendConfig::Nl80211 { phy: "phy0".to_owned() });
    assert_eq!((config.channel.number(), config.channel.frequency()), (36, 5180));
    let [first, second] = &config.bsses[..] else { panic!("two BSSes") };
    assert_eq!(first.bssid, MacAddr([2, 0xaa, 0, 0, 0, 1]));
    assert_eq!(first.ssid, "café \"7\"".as_bytes());
    assert_eq!(first.service.to_string(), "3f2b6c1e-54a7-4d1b-9a34-0c2f6f1f8a11");
    assert_eq!(first.security, Security::Rsn(vec![Akm::Psk, Akm::PskSha256]));
    assert_eq!((first.host.as_str(), first.port), ("gateway.example", 5247));
    assert_eq!(second.security, Security::Open);
    assert_eq!((second.host.as_str(), second.port), ("2001:db8::1", 5248));
}

#[test]
fn each_mistake_is_named_with_its_line_and_what_to_do() {
    // what to replace in GOOD, by what, the line and words of the message
    let cases: &[(&str, &str, usize, &[&str])] = &[
        ("mtu = 1492", "mut = 1492", 4, &["unknown key `mut`", "at the top", "radio, mtu"]),
        ("mtu = 1492", "mtu = 100", 4, &["`mtu`", "128 to 9216"]),
        ("mtu = 1492", "mtu = \"1492\"", 4, &["`mtu`", "128 to 9216"]),
        ("mtu = 1492", "mtu = 14x", 4, &["no \"string\", integer, true or false"]),
        ("mtu = 1492", "mtu", 4, &["neither `key = value` nor a [table]"]),
        ("mtu = 1492", "mtu = 1492 1492", 4, &["something after the value"]),
        ("mtu = 1492", "radio = 1492", 4, &["`radio`", "twice"]),
        ("mtu = 1492", "m.tu = 1492", 4, &["a key may have"]),
        ("\"02:bb:00:00:00:07\"", "\"02:bb\"", 3, &["`radio`", "MAC address"]),
        ("\"02:bb:00:00:00:07\"", "\"02:bb", 3, &["without its closing \""]),
        ("\"02:bb:00:00:00:07\"", "'02:bb", 3, &["without its closing '"]),
        ("\"02:bb:00:00:00:07\"", "\"\\x\"", 3, &["unknown escape"]),
        ("\"02:bb:00:00:00:07\"", "\"\\ud800\"", 3, &["no character"]),
        ("02:bb:00:00:00:07", "03:bb:00:00:00:07", 3, &["`radio`", "unicast"]),
        ("[backend]", "[backend", 6, &["table header without its end"]),
        ("[backend]", "[backend] x", 6, &["something after a table header"]),
        ("[backend]", "[backends]", 6, &["unknown [backends]", "[backend], [matchmaking], [[bss]]"]),
        ("[backend]", "[[backend]]", 6, &["unknown [[backend]]"]),
        ("[[bss]] # another", "[backend]", 18, &["[backend]", "twice"]),
        ("kind = 'nl80211'", "kind = 'wifi'", 7, &["`kind`", "\"nl80211\" or \"air\""]),
        ("kind = 'nl80211'", "", 6, &["kind is missing in [backend]", "kind = \"nl80211\""]),
        ("kind = 'nl80211'", "kind = 'air'", 6, &["socket is missing", "socket = "]),
        ("phy = \"phy0\"", "phy = \"../phy0\"", 8, &["`phy`", "iw phy"]),
        ("phy = \"phy0\"", "phy = \"phy0\"\nsocket = \"x\"", 9, &["unknown key `socket` in [backend]"]),
        ("channel = 36", "channel = 15", 9, &["`channel`", "1 to 14 or 36 to 177"]),
        ("channel = 36", "channel = 292", 9, &["`channel`"]),
        ("channel = 36", "", 6, &["channel is missing", "channel = 6"]),
        ("channel = 36", "channel = 36\nchanel = 36", 10, &["unknown key `chanel` in [backend]"]),
        ("ssid = \"guests\"", "ssid = \"\"", 20, &["`ssid`", "1 to 32 octets"]),
        ("ssid = \"guests\"", "ssid = \"123456789012345678901234567890123\"", 20, &["`ssid`", "1 to 32"]),
        ("02:aa:00:00:00:02", "02:aa:00:00:00:01", 18, &["bssid 02:aa:00:00:00:01", "twice"]),
        ("8a12\"", "8a1\"", 21, &["`service`", "UUID"]),
        ("\"open\"", "\"wep\"", 22, &["`security`", "\"psk-sha256\", \"eap\""]),
        ("\"open\"", "true", 22, &["`security`"]),
        ("[2001:db8::1]:5248", "2001:db8::1", 23, &["`gateway`", "host:port"]),
        ("[2001:db8::1]:5248", "2001:db8::1:5248", 23, &["`gateway`", "[IPv6 address]:port"]),
        ("[2001:db8::1]:5248", "gateway.example:0", 23, &["`gateway`"]),
        ("[2001:db8::1]:5248", ":5247", 23, &["`gateway`"]),
        ("gateway = \"[2001:db8::1]:5248\"", "", 18, &["gateway is missing in [[bss]]"]),
        (
            "gateway = \"[2001:db8::1]:5248\"",
            "gatway = 1",
            23,
            &["unknown key `gatway` in [[bss]]", "security, gateway"],
        ),
    ];
    for (good, bad, line, words) in cases {
        assert!(GOOD.contains(good), "{good}");
        let at = GOOD.rfind(good).unwrap();
        let text = format!("{}{bad}{}", &GOOD[..at], &GOOD[at + good.len()..]);
        let error = Config::parse(&text).expect_err(bad);
        let message = error.to_string();
        assert_eq!(error.line, *line, "{bad}: {message}");
        for word in *words {
            assert!(message.contains(word), "{bad}: {message}");
        }
    }
    let message = |text: &str| Config::parse(text).unwrap_err().to_string();
    assert!(message("").contains("[backend] is missing"));
    assert!(
        message("[backend]\nkind='air'\nsocket='x'\nchannel=6")
            .contains("[matchmaking] or [[bss]] is missing")
    );
    let mut many = GOOD.to_owned();
    for at in 2..=MAX_BSSES {
        let bss = GOOD[GOOD.rfind("[[bss]]").unwrap()..].replace(":02\"", &format!(":{:02x}\"", at + 1));
        many.push_str(&bss);
    }
    assert!(message(&many).contains("at most 16 times"));
}

#[test]
fn channels_have_their_frequencies() {
    let frequency = |number| Channel::new(number).map(Channel::frequency);
    let known = [(1, 2412), (6, 2437), (13, 2472), (14, 2484), (36, 5180), (165, 5825)];
    for (number, mhz) in known {
        assert_eq!(frequency(number), Some(mhz));
    }
    assert_eq!(frequency(0), None);
}

fn read(line: &[&str]) -> Result<Command, String> {
    arguments::parse(line.iter().map(OsString::from)).map_err(|error| error.to_string())
}

#[test]
fn the_command_line_is_read() {
    let full = Arguments {
        config: PathBuf::from("a.toml"),
        background: true,
        pid_file: Some(PathBuf::from("/run/a.pid")),
        account: Some("me@example.org".to_owned()),
        verbose: true,
    };
    let long =
        ["--config=a.toml", "--background", "--pidfile=/run/a.pid", "--account=me@example.org", "--verbose"];
    assert_eq!(read(&long), Ok(Command::Run(full.clone())));
    let short = ["-v", "-B", "-P", "/run/a.pid", "-c", "a.toml", "--account", "me@example.org"];
    assert_eq!(read(&short), Ok(Command::Run(full)));
    assert_eq!(read(&["--help"]), Ok(Command::Help));
    assert_eq!(read(&["-V"]), Ok(Command::Version));
    for (line, words) in [
        (&[][..], "--config FILE is missing"),
        (&["-c"], "-c wants a value"),
        (&["--config="], "--config wants a value"),
        (&["-c", "a", "--frobnicate"], "--frobnicate is unknown"),
        (&["-c", "a", "-B=1"], "-B=1 is unknown"),
        (&["-c", "a", "--background=1"], "--background=1 is unknown"),
        (&["-c", "a", "b"], "b is unknown"),
        (&["-c", "a", "--account", "me"], "e-mail"),
        (&["-c", "a", "--account", "me@there@x"], "e-mail"),
    ] {
        let message = read(line).unwrap_err();
        assert!(message.contains(words) && message.contains("--help"), "{message}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(\\PC|[\\[\\]=\"'#\\n\\\\]){0,120}") {
        if let Err(error) = Config::parse(&text) {
            prop_assert!(error.line >= 1 && !error.to_string().is_empty());
        }
    }

    #[test]
    fn a_damaged_configuration_does_no_harm(at in 0usize..GOOD.len(), with in "\\PC?") {
        if GOOD.is_char_boundary(at) && GOOD.is_char_boundary(at + 1) {
            let _ = Config::parse(&format!("{}{with}{}", &GOOD[..at], &GOOD[at + 1..]));
        }
    }
}

const KEY: &str = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";

/// A configuration with matchmaking; every line of its table is replaced in one of the cases below.
fn matchmaking() -> String {
    format!(
        r#"
[backend]
kind = "nl80211"
phy = "phy0"
channel = 6
[matchmaking]
server = "matchmaker.example:5248"
key = "{KEY}"
account = "me@example.org"
account_key = "{KEY}"
secret_file = "/etc/radio.key"
bssids = 8
up_kbps = 40000
down_kbps = 100000
location = "-52.5163, 13.37771234, at the gate, 2nd"
"#
    )
}

#[test]
fn matchmaking_is_read() {
    let config = Config::parse(&matchmaking()).unwrap();
    assert!(config.bsses.is_empty());
    let read = config.matchmaking.unwrap();
    assert_eq!((read.host.as_str(), read.port), ("matchmaker.example", 5248));
    assert_eq!(read.key.to_string(), KEY);
    assert_eq!(read.account.as_deref(), Some("me@example.org"));
    assert_eq!(read.account_key.unwrap().0, read.key.0);
    assert_eq!(read.secret_file.as_deref(), Some("/etc/radio.key"));
    assert_eq!((read.bssids, read.up_kbps, read.down_kbps), (8, Some(40_000), Some(100_000)));
    let location = read.location.unwrap();
    assert_eq!((location.latitude_e7, location.longitude_e7), (-525_163_000, 133_777_123));
    assert_eq!(location.civic, "at the gate, 2nd");

    let both = format!("{GOOD}[matchmaking]\nserver = \"[2001:db8::1]:1\"\nkey = \"{KEY}\"\n");
    let config = Config::parse(&both).unwrap();
    let read = config.matchmaking.unwrap();
    assert_eq!((config.bsses.len(), read.bssids, read.up_kbps, read.location), (2, 4, None, None));
}

#[test]
fn each_mistake_of_matchmaking_is_named_with_its_line_and_what_to_do() {
    // the line to replace, by what, words of the message
    let cases: &[(&str, &str, &[&str])] = &[
        ("server", "", &["server is missing in [matchmaking]", "server = "]),
        ("server", "server = \"matchmaker.example\"", &["`server`", "host:port"]),
        ("key =", "", &["key is missing", "the line that the matchmaker prints"]),
        ("key =", "key = \"8520\"", &["`key`", "64 hexadecimal digits"]),
        ("account =", "account = \"me\"", &["`account`", "e-mail"]),
        ("account_key", "account_key = \"x\"", &["`account_key`", "64 hexadecimal digits"]),
        ("secret_file", "secret_file = \"\"", &["`secret_file`", "file"]),
        ("bssids", "bssids = 0", &["`bssids`", "1 to 16"]),
        ("bssids", "bssids = 17", &["`bssids`", "iw phy"]),
        ("up_kbps", "up_kbps = 0", &["`up_kbps`", "kbit/s"]),
        ("down_kbps", "down_kbps = -1", &["`down_kbps`", "kbit/s"]),
        ("down_kbps", "down = 1", &["unknown key `down` in [matchmaking]", "up_kbps, down_kbps"]),
        ("location", "location = \"52\"", &["`location`", "latitude, longitude"]),
        ("location", "location = \"90.0000001, 0\"", &["`location`"]),
        ("location", "location = \"0, -180.0000001\"", &["`location`"]),
        ("location", "location = \"+1, 2e1\"", &["`location`"]),
        ("location", "location = \", \"", &["`location`"]),
        ("location", "location = \"1, 2, \\n\\u0007x\"", &["`location`"]),
    ];
    let good = matchmaking();
    for (key, bad, words) in cases {
        let at = good.lines().position(|line| line.starts_with(key)).unwrap();
        let lines = good.lines().enumerate().map(|(line, text)| if line == at { *bad } else { text });
        let text = lines.collect::<Vec<_>>().join("\n");
        let error = Config::parse(&text).expect_err(bad);
        let message = error.to_string();
        assert_eq!(error.line, if bad.is_empty() { 6 } else { at + 1 }, "{bad}: {message}");
        for word in *words {
            assert!(message.contains(word), "{bad}: {message}");
        }
    }
    let simulated = good.replace("\"nl80211\"", "\"air\"").replace("phy = \"phy0\"", "socket = \"/run/air\"");
    let message = Config::parse(&simulated).unwrap_err().to_string();
    assert!(
        message.contains("radio, which a simulated radio has not") && message.contains("radio = "),
        "{message}"
    );
}
