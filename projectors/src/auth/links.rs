//! Table `auth.oauth_providers`: the links that there are.

use std::collections::BTreeMap;

use echolog_events::{
    Meta, OauthProviderLinked, OauthProviderUnlinked, OauthTokenRefreshed, Sealed, Time, Uuid,
};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::sql::{Sql, column};
use crate::{ProjectionError, Target};

const DELETE: &str = "DELETE FROM {schema}.oauth_providers WHERE id = ANY($1::uuid[])";

const UPSERT: &str = "INSERT INTO {schema}.oauth_providers AS o
        (id, user_id, provider, provider_user_id, provider_email, profile_data, created_at,
        updated_at)
    SELECT id, user_id, provider, provider_user_id, provider_email, profile_data, created_at,
        updated_at
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::jsonb[],
        $7::timestamptz[], $8::timestamptz[]) AS d (id, user_id, provider, provider_user_id,
        provider_email, profile_data, created_at, updated_at)
    ON CONFLICT (id) DO UPDATE SET provider_email = excluded.provider_email,
        profile_data = excluded.profile_data, updated_at = excluded.updated_at";

/// All that is kept of tokens of before is replaced.
const KEEP: &str = "UPDATE {schema}.oauth_providers AS o
    SET access_token = d.access_token, refresh_token = d.refresh_token,
        token_expires_at = d.token_expires_at, updated_at = d.updated_at
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])
        AS d (id, access_token, refresh_token, token_expires_at, updated_at)
    WHERE o.id = d.id";

#[derive(Debug)]
pub(super) struct Statements {
    delete: Sql,
    upsert: Sql,
    keep: Sql,
}

impl Statements {
    pub(super) fn new(target: &Target) -> Self {
        Self { delete: target.sql(DELETE), upsert: target.sql(UPSERT), keep: target.sql(KEEP) }
    }
}

/// What a batch does to a link: what was said of it last, when it was first linked in the batch, and
/// when last; `None`: it is gone. An id is used for one link.
type Fate<'a> = Option<(&'a OauthProviderLinked, Time, Time)>;

/// The tokens that a batch brings for a link, and when something was last said of that.
type Kept<'a> = (&'a OauthTokenRefreshed, Time);

/// The links that a batch makes, changes or ends, and the tokens that it brings for them.
#[derive(Debug, Default)]
pub(super) struct Links<'a> {
    fates: BTreeMap<Uuid, Fate<'a>>,
    kept: BTreeMap<Uuid, Kept<'a>>,
}

impl<'a> Links<'a> {
    pub(super) fn link(&mut self, meta: &Meta, linked: &'a OauthProviderLinked) {
        let fate = self.fates.entry(linked.link_id).or_default();
        let since = fate.map_or(meta.time, |(_, since, _)| since);
        *fate = Some((linked, since, meta.time));
        if let Some((_, at)) = self.kept.get_mut(&linked.link_id) {
            *at = meta.time;
        }
    }

    pub(super) fn unlink(&mut self, unlinked: &OauthProviderUnlinked) {
        self.fates.insert(unlinked.link_id, None);
        self.kept.remove(&unlinked.link_id);
    }

    pub(super) fn keep(&mut self, meta: &Meta, refreshed: &'a OauthTokenRefreshed) {
        self.kept.insert(refreshed.link_id, (refreshed, meta.time));
    }

    pub(super) async fn write(
        self,
        connection: &mut PgConnection,
        statements: &Statements,
    ) -> Result<(), ProjectionError> {
        let gone: Vec<Uuid> =
            self.fates.iter().filter(|(_, fate)| fate.is_none()).map(|(id, _)| *id).collect();
        if !gone.is_empty() {
            statements.delete.query().bind(gone).execute(&mut *connection).await?;
        }
        let linked: Vec<_> = self.fates.into_values().flatten().collect();
        if !linked.is_empty() {
            statements
                .upsert
                .query()
                .bind(column(&linked, |(e, ..)| e.link_id))
                .bind(column(&linked, |(e, ..)| e.user_id))
                .bind(column(&linked, |(e, ..)| e.provider.name()))
                .bind(column(&linked, |(e, ..)| e.provider_user_id.as_str()))
                .bind(column(&linked, |(e, ..)| e.provider_email.as_deref()))
                .bind(column(&linked, |(e, ..)| Json(&e.profile_data)))
                .bind(column(&linked, |(_, since, _)| *since))
                .bind(column(&linked, |(.., at)| *at))
                .execute(&mut *connection)
                .await?;
        }
        let kept: Vec<_> = self.kept.into_values().collect();
        if !kept.is_empty() {
            statements
                .keep
                .query()
                .bind(column(&kept, |(e, _)| e.link_id))
                .bind(column(&kept, |(e, _)| e.access_token.expose()))
                .bind(column(&kept, |(e, _)| e.refresh_token.as_ref().map(Sealed::expose)))
                .bind(column(&kept, |(e, _)| e.token_expires_at))
                .bind(column(&kept, |(_, at)| *at))
                .execute(connection)
                .await?;
        }
        Ok(())
    }
}
