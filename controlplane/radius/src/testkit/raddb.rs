//! The private configuration directory: only what an access point's tests need, nothing of the system's own.

use std::{fmt::Write, fs, net::SocketAddr, path::Path};

use super::{FreeRadiusConfig, StartError, User};

/// Writes every file of the configuration into `directory`.
pub(super) fn write(
    directory: &Path,
    config: &FreeRadiusConfig,
    authentication: SocketAddr,
    accounting: SocketAddr,
) -> Result<(), StartError> {
    let main = MAIN
        .replace("@DIRECTORY@", &directory.display().to_string())
        .replace("@ADDRESS@", &authentication.ip().to_string())
        .replace("@AUTHENTICATION@", &authentication.port().to_string())
        .replace("@ACCOUNTING@", &accounting.port().to_string())
        .replace("@SECRET@", &quote(&config.secret))
        .replace("@EAP@", &config.default_eap);
    for (name, text) in [
        ("radiusd.conf", main),
        ("dictionary", "# Only the server's own dictionaries.\n".to_owned()),
        ("users", users(&config.users)),
        ("challenge", CHALLENGE.to_owned()),
    ] {
        let path = directory.join(name);
        fs::write(&path, text)
            .map_err(|source| StartError::Io { what: format!("cannot write {}", path.display()), source })?;
    }
    Ok(())
}

fn users(users: &[User]) -> String {
    let mut text = String::new();
    for user in users {
        write!(text, "\"{}\"", quote(&user.name)).expect("writing to a String");
        if let Some(password) = &user.password {
            write!(text, " Cleartext-Password := \"{}\"", quote(password)).expect("writing to a String");
        }
        text.push('\n');
        for (index, line) in user.reply.iter().enumerate() {
            let end = if index + 1 == user.reply.len() { "\n" } else { ",\n" };
            write!(text, "\t{line}{end}").expect("writing to a String");
        }
        text.push('\n');
    }
    text
}

/// For between double quotes.
fn quote(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// What an Access-Challenge may carry: not the reply attributes of the user.
const CHALLENGE: &str = "DEFAULT
\tEAP-Message =* ANY,
\tState =* ANY,
\tMessage-Authenticator =* ANY,
\tReply-Message =* ANY,
\tSession-Timeout =* ANY
";

/// TLS ends at 1.2 because EAP with TLS 1.3 needs newer supplicants than most tests have.
const MAIN: &str = r#"
confdir = @DIRECTORY@
logdir = @DIRECTORY@
run_dir = @DIRECTORY@
libdir = /usr/lib/freeradius
max_request_time = 30
cleanup_delay = 5
max_requests = 16384
hostname_lookups = no

log {
	destination = stdout
	auth = yes
}

security {
	max_attributes = 200
	reject_delay = 0
	status_server = yes
}

thread pool {
	start_servers = 2
	max_servers = 4
	min_spare_servers = 1
	max_spare_servers = 2
}

client loopback {
	ipaddr = 127.0.0.1
	secret = "@SECRET@"
	require_message_authenticator = yes
}

modules {
	pap {
	}
	mschap {
		use_mppe = yes
		require_encryption = yes
	}
	files {
		usersfile = ${confdir}/users
	}
	attr_filter challenge {
		key = "%{User-Name}"
		filename = ${confdir}/challenge
		relaxed = no
	}
	detail {
		filename = ${confdir}/detail
		permissions = 0600
		header = "%t"
	}
	eap {
		default_eap_type = @EAP@
		timer_expire = 60
		ignore_unknown_eap_types = no
		max_sessions = 16384
		tls-config common {
			private_key_file = ${confdir}/certs/server.key
			certificate_file = ${confdir}/certs/server.pem
			ca_file = ${confdir}/certs/ca.pem
			cipher_list = "DEFAULT"
			tls_min_version = "1.2"
			tls_max_version = "1.2"
			ecdh_curve = "prime256v1"
			cache {
				enable = no
			}
		}
		md5 {
		}
		gtc {
			auth_type = PAP
		}
		mschapv2 {
		}
		tls {
			tls = common
		}
		ttls {
			tls = common
			default_eap_type = md5
			copy_request_to_tunnel = no
			use_tunneled_reply = yes
			virtual_server = inner
		}
		peap {
			tls = common
			default_eap_type = mschapv2
			copy_request_to_tunnel = no
			use_tunneled_reply = yes
			virtual_server = inner
		}
	}
}

server outer {
	listen {
		type = auth
		ipaddr = @ADDRESS@
		port = @AUTHENTICATION@
	}
	listen {
		type = acct
		ipaddr = @ADDRESS@
		port = @ACCOUNTING@
	}
	authorize {
		eap {
			ok = return
		}
		files
		pap
	}
	authenticate {
		Auth-Type PAP {
			pap
		}
		eap
	}
	post-auth {
		Post-Auth-Type Challenge {
			challenge
		}
		Post-Auth-Type Reject {
			eap
		}
	}
	preacct {
	}
	accounting {
		detail
	}
}

server inner {
	authorize {
		eap {
			ok = return
		}
		files
		mschap
		pap
	}
	authenticate {
		Auth-Type PAP {
			pap
		}
		Auth-Type MS-CHAP {
			mschap
		}
		eap
	}
}
"#;
