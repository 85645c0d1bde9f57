//! Revocations as nodes tell them to each other, in JSON: a list of app, tenant, user or null, the instant, and when that
//! was said. Pure.

use std::{borrow::Borrow, sync::Arc};

use bytes::Bytes;
use gaung_cluster::room::is_app;

use super::{Holder, Revocation};
use crate::tenant::TenantId;

/// Bytes of a user's id at most: 128 characters.
const MAX_USER: usize = 512;

type HolderRow = (String, String, Option<String>);
type Row = (HolderRow, u64, u64);

pub fn encode(revocations: impl IntoIterator<Item = impl Borrow<Revocation>>) -> Bytes {
    let row = |revocation: &Revocation| (row_of(&revocation.holder), revocation.issued_before, revocation.revoked);
    let rows: Vec<Row> = revocations.into_iter().map(|revocation| row(revocation.borrow())).collect();
    serde_json::to_vec(&rows).expect("texts and numbers are JSON").into()
}

/// Reads what another node wrote, as hostile input.
pub fn read(bytes: &Bytes) -> Option<Vec<Revocation>> {
    let rows: Vec<Row> = serde_json::from_slice(bytes).ok()?;
    let revocation =
        |(holder, issued_before, revoked)| Some(Revocation { holder: holder_of(holder)?, issued_before, revoked });
    rows.into_iter().map(revocation).collect()
}

pub fn encode_holder(holder: &Holder) -> Bytes {
    serde_json::to_vec(&row_of(holder)).expect("texts are JSON").into()
}

/// Nothing at all is no holder, which is none wrong.
pub fn read_holder(bytes: &Bytes) -> Option<Option<Holder>> {
    if bytes.is_empty() {
        return Some(None);
    }
    holder_of(serde_json::from_slice(bytes).ok()?).map(Some)
}

fn row_of(Holder { app, tenant, user }: &Holder) -> HolderRow {
    (app.to_string(), tenant.as_str().to_owned(), user.as_deref().map(str::to_owned))
}

fn holder_of((app, tenant, user): HolderRow) -> Option<Holder> {
    let tenant = TenantId::parse(&tenant).ok()?;
    let is_possible = is_app(&app) && user.as_ref().is_none_or(|user| user.len() <= MAX_USER);
    is_possible.then(|| Holder { app: app.into(), tenant, user: user.map(Arc::from) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(user: Option<&str>) -> Holder {
        Holder { app: "app".into(), tenant: TenantId::parse("7").unwrap(), user: user.map(Arc::from) }
    }

    #[test]
    fn revocations_are_read_as_they_were_written() {
        let revocations = [
            Revocation { holder: holder(None), issued_before: 5, revoked: 6 },
            Revocation { holder: holder(Some("Ada \"É\"")), issued_before: 7, revoked: 8 },
        ];
        let bytes = encode(&revocations);
        assert_eq!(bytes, r#"[[["app","7",null],5,6],[["app","7","Ada \"É\""],7,8]]"#.as_bytes());
        assert_eq!(read(&bytes).unwrap(), revocations);
        for holder in [holder(None), holder(Some("ada"))] {
            assert_eq!(read_holder(&encode_holder(&holder)), Some(Some(holder)));
        }
        assert_eq!(read_holder(&Bytes::new()), Some(None));
    }

    #[test]
    fn what_no_node_writes_is_not_read() {
        let long = format!(r#"[[["app","7","{}"],5,6]]"#, "x".repeat(513));
        for text in ["", "=", "{}", r#"[[["a*","7",null],5,6]]"#, r#"[[["app","7.8",null],5,6]]"#, &long] {
            assert_eq!(read(&Bytes::from(text.to_owned())), None, "{text}");
        }
        assert_eq!(read_holder(&"[]".into()), None);
    }
}
