//! EAP-TTLS version 0: TLS records in EAP packets, fragmented, and the credentials inside (RFC 5281).
//!
//! ```text
//! type data:  flags (1): L 0x80, M 0x40, S 0x20, version 0x07   [TLS message length (4) if L]   TLS data
//! ```

use std::io::{Read, Write};

use rustls::client::ClientConnection;
use zeroize::Zeroizing;

use super::{Config, Credentials, Msk, avp};

const LENGTH_INCLUDED: u8 = 0x80;
const MORE_FRAGMENTS: u8 = 0x40;
const START: u8 = 0x20;
/// Label of the exporter (RFC 5281 §8).
const KEYING_MATERIAL: &[u8] = b"ttls keying material";
/// The most that a server may make this side collect before it acts on it.
const MAX_MESSAGE: usize = 1 << 16;

/// Why there is no ordinary response.
#[derive(Debug)]
pub(super) enum TtlsError {
    /// Not the type data of EAP-TTLS; to be ignored.
    Malformed,
    /// TLS failed; the response carries the alert.
    Tls { why: rustls::Error, response: Vec<u8> },
}

/// The method's state.
pub(super) struct Ttls {
    tls: ClientConnection,
    fragment: usize,
    /// Fragments of the server's message so far.
    incoming: Vec<u8>,
    /// What is still to be sent of this side's message.
    outgoing: Vec<u8>,
    msk: Option<Msk>,
}

impl Ttls {
    pub fn new(config: &Config) -> Result<Ttls, rustls::Error> {
        Ok(Ttls {
            tls: config.connect()?,
            fragment: config.fragment(),
            incoming: Vec::new(),
            outgoing: Vec::new(),
            msk: None,
        })
    }

    /// Whether a request begins the method.
    pub fn is_start(data: &[u8]) -> bool {
        data.first().is_some_and(|flags| flags & START != 0)
    }

    /// The key, once the credentials are sent.
    pub fn msk(&self) -> Option<&Msk> {
        self.msk.as_ref()
    }

    /// Takes the type data of a request; gives that of the response.
    pub fn receive(&mut self, data: &[u8], credentials: &Credentials) -> Result<Vec<u8>, TtlsError> {
        let (&flags, mut data) = data.split_first().ok_or(TtlsError::Malformed)?;
        if flags & LENGTH_INCLUDED != 0 {
            data = data.get(4..).ok_or(TtlsError::Malformed)?;
        }
        if flags & START != 0 {
            return Ok(self.next_fragment(true));
        }
        if data.is_empty() && flags & MORE_FRAGMENTS == 0 && !self.outgoing.is_empty() {
            // The acknowledgement of a fragment (RFC 5281 §9.2.2).
            return Ok(self.next_fragment(false));
        }
        if self.incoming.len() + data.len() > MAX_MESSAGE {
            self.incoming.clear();
            return Err(TtlsError::Malformed);
        }
        self.incoming.extend_from_slice(data);
        if flags & MORE_FRAGMENTS != 0 {
            return Ok(vec![0]);
        }
        let incoming = std::mem::take(&mut self.incoming);
        match self.process(&incoming, credentials) {
            Ok(()) => Ok(self.next_fragment(true)),
            Err(why) => Err(TtlsError::Tls { why, response: self.next_fragment(true) }),
        }
    }

    /// Feeds TLS, and sends the credentials as soon as the server is authenticated.
    fn process(&mut self, mut records: &[u8], credentials: &Credentials) -> Result<(), rustls::Error> {
        while !records.is_empty() {
            let before = records.len();
            // Reading from a slice cannot fail; what can is the connection's buffer being full.
            let read = self.tls.read_tls(&mut records);
            let state = self.tls.process_new_packets()?;
            // Whatever the server says inside is of no interest to PAP.
            let mut inside = Zeroizing::new(vec![0; state.plaintext_bytes_to_read()]);
            let _ = self.tls.reader().read(&mut inside);
            if read.is_err() || records.len() == before {
                return Err(rustls::Error::General("TLS takes no more data".into()));
            }
        }
        if !self.tls.is_handshaking() && self.msk.is_none() {
            self.msk = Some(Msk(self.tls.export_keying_material([0; 64], KEYING_MATERIAL, None)?));
            let avps = avp::pap(&credentials.identity, &credentials.password);
            self.tls.writer().write_all(&avps).map_err(|error| rustls::Error::General(error.to_string()))?;
        }
        Ok(())
    }

    /// The next part of this side's message; an acknowledgement if there is nothing to say.
    fn next_fragment(&mut self, first: bool) -> Vec<u8> {
        while first && self.tls.wants_write() {
            // Writing to a vector cannot fail.
            if self.tls.write_tls(&mut self.outgoing).is_err() {
                break;
            }
        }
        let total = self.outgoing.len();
        let more = total > self.fragment;
        let mut data = vec![if more { MORE_FRAGMENTS } else { 0 }];
        if first && more {
            data[0] |= LENGTH_INCLUDED;
            data.extend_from_slice(&(total as u32).to_be_bytes());
        }
        data.extend(self.outgoing.drain(..total.min(self.fragment)));
        data
    }
}
