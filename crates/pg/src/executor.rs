//! Single statements on the pool itself.

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt, TryFutureExt, TryStreamExt};
use sqlx::postgres::{PgArguments, PgConnection, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Describe, Either, Error, Execute, Executor, Postgres};

use crate::Pool;

/// A statement that owns what it says.
struct Owned {
    sql: String,
    arguments: Option<PgArguments>,
    persistent: bool,
}

type Step = Either<PgQueryResult, PgRow>;

impl Owned {
    fn of<'q>(mut query: impl Execute<'q, Postgres>) -> Result<Self, Error> {
        let arguments = query.take_arguments().map_err(Error::Encode)?;
        Ok(Self { sql: query.sql().to_owned(), arguments, persistent: query.persistent() })
    }

    async fn steps(self, connection: &mut PgConnection) -> Result<Vec<Step>, Error> {
        let Self { sql, arguments, persistent } = self;
        match arguments {
            Some(arguments) => {
                let query = sqlx::query_with(&sql, arguments).persistent(persistent);
                connection.fetch_many(query).try_collect().await
            }
            None => connection.fetch_many(sql.as_str()).try_collect().await,
        }
    }
}

impl Pool {
    async fn steps(&self, statement: Result<Owned, Error>) -> Result<Vec<Step>, Error> {
        let statement = statement?;
        self.run(|connection| statement.steps(connection).boxed()).await
    }
}

impl<'p> Executor<'p> for &'p Pool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let steps = self.steps(Owned::of(query));
        steps.map_ok(|steps| stream::iter(steps).map(Ok)).try_flatten_stream().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let steps = self.steps(Owned::of(query));
        steps.map_ok(|steps| steps.into_iter().find_map(Either::right)).boxed()
    }

    fn prepare_with<'e, 'q: 'e>(
        self,
        sql: &'q str,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement<'q>, Error>>
    where
        'p: 'e,
    {
        async move {
            let mut held = self.hold().await?;
            let statement = held.prepare_with(sql, parameters).await?;
            held.give_back();
            Ok(statement)
        }
        .boxed()
    }

    fn describe<'e, 'q: 'e>(self, sql: &'q str) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
    where
        'p: 'e,
    {
        async move {
            let mut held = self.hold().await?;
            let described = held.describe(sql).await?;
            held.give_back();
            Ok(described)
        }
        .boxed()
    }
}
