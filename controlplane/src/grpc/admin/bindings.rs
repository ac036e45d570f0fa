//! Which bindings are meant, by what they name and whose they are.

use matchmaker::{Binding, Pattern, Uuid, objects::AccountId};
use proto::admin;
use tonic::Status;

use super::text;

/// All conditions hold; what is not said is none.
#[derive(Debug, Clone, Default)]
pub(super) struct Bindings {
    client: Option<Pattern>,
    radio: Option<Pattern>,
    service: Option<Uuid>,
    /// As messages have it.
    account: Option<String>,
}

impl Bindings {
    pub fn read(field: &str, said: Option<&admin::BindingFilter>) -> Result<Bindings, Status> {
        let Some(said) = said else { return Ok(Bindings::default()) };
        let of = |name: &str| format!("{field}.{name}");
        let pattern =
            |name: &str, text: &str| (!text.is_empty()).then(|| text::pattern(&of(name), text)).transpose();
        let service = (!said.service.is_empty()).then(|| text::uuid(&of("service"), &said.service));
        let account = said.account.as_ref().map(|account| text::account_or_none(&of("account"), account));
        Ok(Bindings {
            client: pattern("client", &said.client)?,
            radio: pattern("radio", &said.radio)?,
            service: service.transpose()?,
            account: account.transpose()?.map(|account| text::account_text(account.as_ref())),
        })
    }

    pub fn wants(&self, account: Option<&AccountId>, binding: &Binding) -> bool {
        self.client.is_none_or(|client| client == binding.client)
            && self.radio.is_none_or(|radio| radio == binding.radio)
            && self.service.is_none_or(|service| service == binding.service)
            && self.account.as_ref().is_none_or(|wanted| wanted == account.map_or("", AccountId::as_str))
    }

    /// The same of one as people see it.
    pub fn wants_message(&self, binding: &admin::Binding) -> bool {
        self.client.is_none_or(|client| client.to_string() == binding.client)
            && self.radio.is_none_or(|radio| radio.to_string() == binding.radio)
            && self.service.is_none_or(|service| service.to_string() == binding.service)
            && self.account.as_ref().is_none_or(|account| *account == binding.account)
    }
}
