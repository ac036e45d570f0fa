//! What operators forget: broadcast bindings of enterprise networks.

use std::collections::HashSet;

use matchmaker::{
    Uuid,
    objects::{AccountId, Service},
};
use proto::admin::{CreateBindingRequest, ListSuggestionsRequest, ListSuggestionsResponse, Suggestion};
use tonic::Status;

use super::{AdminService, page::Page, text};
use crate::{core::Query, matchmaking::Desk};

impl AdminService {
    pub(super) async fn suggestions(
        &self,
        asked: ListSuggestionsRequest,
    ) -> Result<ListSuggestionsResponse, Status> {
        let read = |text: &str| {
            let (service, account) = text.split_once(' ')?;
            Some((account.to_owned(), service.parse::<Uuid>().ok()?))
        };
        let mut page = Page::asked(asked.page_size, &asked.page_token, read)?;
        // Those of the configuration that hold without the matchmaker show it as well.
        let standing = self.ask(Query::Bindings).await?.into_iter().filter(|binding| binding.client == "*");
        let shown: HashSet<String> = standing.map(|binding| binding.service).collect();
        let gather = move |desk: &mut Desk, _| {
            for (account, service) in desk.matchmaker.lonely_services() {
                let name = account.map_or("", AccountId::as_str);
                if page.wants(|(of, uuid)| (name, service.uuid).cmp(&(of.as_str(), *uuid)))
                    && !shown.contains(&service.uuid.to_string())
                {
                    page.add((name.to_owned(), service.uuid), message(account, service));
                }
            }
            page.finish()
        };
        let (suggestions, next) = super::there(self.matchmaker()?.ask(gather).await)?;
        let token = |(account, service)| format!("{service} {account}");
        Ok(ListSuggestionsResponse { suggestions, next_page_token: next.map(token).unwrap_or_default() })
    }
}

fn message(account: Option<&AccountId>, service: &Service) -> Suggestion {
    let binding = CreateBindingRequest {
        service: service.uuid.to_string(),
        client: "*".to_owned(),
        radio: "*".to_owned(),
        account: text::account_text(account),
        policy: None,
    };
    Suggestion {
        service: service.uuid.to_string(),
        ssid: String::from_utf8_lossy(service.ssid.as_bytes()).into_owned(),
        account: text::account_text(account),
        binding: Some(binding),
    }
}
