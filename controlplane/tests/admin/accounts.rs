//! Accounts, their keys and grants.

use super::*;

#[tokio::test]
async fn accounts_and_grants() {
    let (control, _state) = control(&[MATCHMAKER, ACCOUNTS].concat()).await;
    let mut served = serve(control).await;
    let account = |key: &str, replace_key| CreateAccountRequest {
        id: "Info@example.org".into(),
        key: key.repeat(32),
        replace_key,
        remove_key: false,
    };
    let made = served.admin.create_account(account("7f", false)).await.unwrap().into_inner();
    let info = Account { id: "info@example.org".into(), has_key: true, origin: "administrator".into() };
    assert_eq!((made.created, made.account.as_ref()), (true, Some(&info)));
    assert!(!served.admin.create_account(account("7f", false)).await.unwrap().into_inner().created);
    let other = served.admin.create_account(account("7e", false)).await.unwrap_err();
    assert_eq!(other.code(), Code::AlreadyExists);
    assert!(!served.admin.create_account(account("7e", true)).await.unwrap().into_inner().created);
    let fixed = Account { id: "fixed@example.org".into(), has_key: false, origin: "configuration".into() };
    let list = ListAccountsRequest { page_size: 1, page_token: String::new() };
    let first = served.admin.list_accounts(list).await.unwrap().into_inner();
    assert_eq!(first.accounts, [fixed]);
    let list = ListAccountsRequest { page_size: 1, page_token: first.next_page_token };
    let second = served.admin.list_accounts(list).await.unwrap().into_inner();
    assert_eq!((second.accounts, second.next_page_token.as_str()), (vec![info], ""));

    let grant = Some(Grant { radios_of: "info@example.org".into(), services_of: "fixed@example.org".into() });
    let create = CreateGrantRequest { grant: grant.clone() };
    assert!(served.admin.create_grant(create.clone()).await.unwrap().into_inner().created);
    assert!(!served.admin.create_grant(create).await.unwrap().into_inner().created);
    let grants = served.admin.list_grants(ListGrantsRequest::default()).await.unwrap().into_inner().grants;
    assert_eq!(grants, [grant.clone().unwrap()]);
    let delete = DeleteGrantRequest { grant };
    served.admin.delete_grant(delete.clone()).await.unwrap();
    assert_eq!(served.admin.delete_grant(delete).await.unwrap_err().code(), Code::NotFound);

    let bind = CreateBindingRequest { account: "info@example.org".into(), ..phone() };
    let binding = served.admin.create_binding(bind).await.unwrap().into_inner().binding.unwrap();
    assert_eq!(binding.account, "info@example.org");
    let delete = DeleteAccountRequest { id: "info@example.org".into() };
    let refused = served.admin.delete_account(delete.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("still has bindings"), "{refused}");
    let unbind = DeleteBindingRequest { account: binding.account, id: binding.id };
    served.admin.delete_binding(unbind).await.unwrap();
    // Nor while something else would be of somebody who is not there.
    let still = async |served: &mut Served, what: &str| {
        let refused = served.admin.delete_account(delete.clone()).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(refused.message().contains(what), "{refused}");
    };
    let own = CreateRadioRequest { radio: RADIO_TEXT.into(), account: "info@example.org".into() };
    served.admin.create_radio(own).await.unwrap();
    still(&mut served, "has radios on record; `ttgctl radios --recorded --account info@example.org`").await;
    served.admin.delete_radio(DeleteRadioRequest { radio: RADIO_TEXT.into() }).await.unwrap();
    let contract = Contract {
        service: UUID.into(),
        account: "info@example.org".into(),
        client: PHONE_TEXT.into(),
        ..Contract::default()
    };
    let agree = CreateContractRequest { contract: Some(contract) };
    let id = served.admin.create_contract(agree).await.unwrap().into_inner().contract.unwrap().id;
    still(&mut served, "has contracts; `ttgctl contracts` shows them").await;
    let end = DeleteContractRequest { account: "info@example.org".into(), id };
    served.admin.delete_contract(end).await.unwrap();
    served.admin.delete_account(delete).await.unwrap();
    let fixed = DeleteAccountRequest { id: "fixed@example.org".into() };
    let refused = served.admin.delete_account(fixed).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    served.stop().await;
}

/// An account loses its key only for somebody who says just that.
#[tokio::test]
async fn a_key_is_not_removed_by_leaving_it_out() {
    let (control, _state) = control(&[MATCHMAKER, ACCOUNTS].concat()).await;
    let mut served = serve(control).await;
    let (some, none, fixed) = ("info@example.org", "none@example.org", "fixed@example.org");
    // Whose, key, replace_key, remove_key; the answer, and whether the account has a key then.
    let cases = [
        (some, "7f", false, false, Ok(true), true),
        (some, "", false, false, Err((Code::AlreadyExists, "--remove-key")), true),
        (some, "", true, false, Err((Code::InvalidArgument, "--remove-key")), true),
        (some, "7f", false, true, Err((Code::InvalidArgument, "leave one of them out")), true),
        (some, "7e", true, true, Err((Code::InvalidArgument, "leave one of them out")), true),
        (some, "", false, true, Ok(false), false),
        (some, "", false, true, Ok(false), false),
        (some, "", true, false, Err((Code::InvalidArgument, "--remove-key")), false),
        (some, "7e", false, false, Err((Code::AlreadyExists, "--replace-key")), false),
        (some, "7e", true, false, Ok(false), true),
        // As ttgctl says it.
        (some, "", true, true, Ok(false), false),
        (none, "", false, true, Err((Code::NotFound, "there is no account")), false),
        (none, "", true, false, Err((Code::InvalidArgument, "--remove-key")), false),
        (none, "7f", true, false, Ok(true), true),
        (fixed, "", false, true, Ok(false), false),
    ];
    for (n, (id, key, replace_key, remove_key, answer, has_key)) in cases.into_iter().enumerate() {
        let asked = CreateAccountRequest { id: id.into(), key: key.repeat(32), replace_key, remove_key };
        match (served.admin.create_account(asked).await, answer) {
            (Ok(said), Ok(created)) => assert_eq!(said.into_inner().created, created, "case {n}"),
            (Err(said), Err((code, what))) => {
                assert_eq!(said.code(), code, "case {n}: {said}");
                assert!(said.message().contains(what), "case {n}: {said}");
            }
            (said, _) => panic!("case {n}: {said:?}"),
        }
        let accounts = served.admin.list_accounts(ListAccountsRequest::default()).await.unwrap().into_inner();
        let found = accounts.accounts.iter().find(|account| account.id == id);
        assert_eq!(found.is_some_and(|account| account.has_key), has_key, "case {n}");
    }
    served.stop().await;
}

/// Of two who make the same account at the same time one has made it; with different keys the other is told.
#[tokio::test]
async fn an_account_is_made_once() {
    let (control, _state) = control(MATCHMAKER).await;
    let served = serve(control).await;
    let account = |n: u32, key: &str| CreateAccountRequest {
        id: format!("a{n}@example.org"),
        key: key.repeat(32),
        replace_key: false,
        remove_key: false,
    };
    for n in 0..20 {
        let (mut one, mut two, mut three) =
            (served.admin.clone(), served.admin.clone(), served.admin.clone());
        let (one, two, three) = tokio::join!(
            one.create_account(account(n, "7f")),
            two.create_account(account(n, "7f")),
            three.create_account(account(n, "7e")),
        );
        let made = |answer: &Result<tonic::Response<proto::admin::CreateAccountResponse>, tonic::Status>| {
            match answer {
                Ok(answer) => usize::from(answer.get_ref().created),
                Err(status) => {
                    assert_eq!(status.code(), Code::AlreadyExists);
                    0
                }
            }
        };
        assert_eq!(made(&one) + made(&two) + made(&three), 1, "{one:?} {two:?} {three:?}");
    }
    served.stop().await;
}
