//! An authority, a server's and a device's certificate, made with the `openssl` command.

use std::{fs, io, path::Path, process::Command};

use super::{CLIENT_NAME, SERVER_NAME, StartError};

/// Makes `ca`, `server` and `client`, each a `.pem` and a `.key`, in a new directory.
pub(super) fn make(directory: &Path) -> Result<(), StartError> {
    fs::create_dir(directory)
        .map_err(|source| StartError::Io { what: format!("cannot make {}", directory.display()), source })?;
    request(directory, "ca", "/CN=Test RADIUS authority", &["basicConstraints=critical,CA:TRUE"], false)?;
    let alternative = format!("subjectAltName=DNS:{SERVER_NAME}");
    let server = [alternative.as_str(), "extendedKeyUsage=serverAuth"];
    request(directory, "server", &format!("/CN={SERVER_NAME}"), &server, true)?;
    request(directory, "client", &format!("/CN={CLIENT_NAME}"), &["extendedKeyUsage=clientAuth"], true)
}

/// One certificate, signed by `ca` or by itself.
fn request(
    directory: &Path,
    name: &str,
    subject: &str,
    extensions: &[&str],
    issued: bool,
) -> Result<(), StartError> {
    let mut command = Command::new("openssl");
    command
        .current_dir(directory)
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-sha256", "-nodes", "-days", "3650", "-subj", subject])
        .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.pem")]);
    if issued {
        command.args(["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE"]);
    }
    for extension in extensions {
        command.args(["-addext", extension]);
    }
    let output = command.output().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => StartError::Missing { program: "openssl", package: "openssl" },
        _ => StartError::Io { what: "cannot run openssl".into(), source },
    })?;
    if output.status.success() {
        Ok(())
    } else {
        Err(StartError::Certificates(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}
