//! For tests: an authority and what it signs, as files in a directory.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// Signs certificates.
pub struct Authority {
    directory: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
    pub certificate: PathBuf,
}

impl Authority {
    /// Makes it: `NAME.pem` in the directory.
    pub fn new(directory: &Path, name: &str) -> Authority {
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let path = directory.join(format!("{name}.pem"));
        fs::write(&path, certificate.pem()).expect("the directory is writable");
        Authority { directory: directory.to_owned(), issuer: Issuer::new(params, key), certificate: path }
    }

    /// A server's certificate for these names and addresses.
    pub fn server(&self, file: &str, names: &[&str]) {
        self.sign(file, params(file, names), ExtendedKeyUsagePurpose::ServerAuth);
    }

    /// A client's.
    pub fn client(&self, file: &str) {
        self.sign(file, params(file, &[]), ExtendedKeyUsagePurpose::ClientAuth);
    }

    /// Ones that are not valid any more.
    pub fn expired(&self, file: &str, names: &[&str]) {
        let mut params = params(file, names);
        params.not_after = date_time_ymd(2001, 1, 1);
        let usage = if names.is_empty() {
            ExtendedKeyUsagePurpose::ClientAuth
        } else {
            ExtendedKeyUsagePurpose::ServerAuth
        };
        self.sign(file, params, usage);
    }

    /// Writes `FILE.pem` and `FILE.key`.
    fn sign(&self, file: &str, mut params: CertificateParams, usage: ExtendedKeyUsagePurpose) {
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let path = self.directory.join(file);
        fs::write(path.with_extension("pem"), certificate.pem()).expect("the directory is writable");
        secret(&path.with_extension("key"), &key.serialize_pem());
    }
}

/// Writes a file that nobody else may read.
pub fn secret(path: &Path, text: &str) {
    fs::write(path, text).expect("the directory is writable");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("the file is ours");
}

fn params(name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2100, 1, 1);
    params
}
