//! What the dependencies say of the stack: frameworks, stores, test tools.

use std::collections::BTreeMap;

use super::manifests::Manifest;

/// What a known dependency is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Web,
    Ui,
    Cli,
    Store,
    Queue,
    Test,
    Library,
}

const KNOWN: &[(&str, &str, Class)] = &[
    ("axum", "axum", Class::Web),
    ("actix-web", "Actix Web", Class::Web),
    ("rocket", "Rocket", Class::Web),
    ("warp", "warp", Class::Web),
    ("hyper", "hyper", Class::Library),
    ("tower", "tower", Class::Library),
    ("tower-http", "tower-http", Class::Library),
    ("tokio", "Tokio", Class::Library),
    ("serde", "serde", Class::Library),
    ("clap", "clap", Class::Cli),
    ("sqlx", "SQLx", Class::Store),
    ("diesel", "Diesel", Class::Store),
    ("sea-orm", "SeaORM", Class::Store),
    ("rusqlite", "SQLite (rusqlite)", Class::Store),
    ("tokio-postgres", "PostgreSQL", Class::Store),
    ("redis", "Redis", Class::Store),
    ("mongodb", "MongoDB", Class::Store),
    ("proptest", "proptest", Class::Test),
    ("criterion", "Criterion", Class::Test),
    ("insta", "insta", Class::Test),
    ("fastapi", "FastAPI", Class::Web),
    ("flask", "Flask", Class::Web),
    ("django", "Django", Class::Web),
    ("djangorestframework", "Django REST framework", Class::Web),
    ("starlette", "Starlette", Class::Web),
    ("pydantic", "Pydantic", Class::Library),
    ("click", "Click", Class::Cli),
    ("typer", "Typer", Class::Cli),
    ("celery", "Celery", Class::Queue),
    ("sqlalchemy", "SQLAlchemy", Class::Store),
    ("psycopg2", "PostgreSQL", Class::Store),
    ("psycopg2-binary", "PostgreSQL", Class::Store),
    ("psycopg", "PostgreSQL", Class::Store),
    ("asyncpg", "PostgreSQL", Class::Store),
    ("pymongo", "MongoDB", Class::Store),
    ("pytest", "pytest", Class::Test),
    ("express", "Express", Class::Web),
    ("fastify", "Fastify", Class::Web),
    ("koa", "Koa", Class::Web),
    ("@nestjs/core", "NestJS", Class::Web),
    ("next", "Next.js", Class::Web),
    ("react", "React", Class::Ui),
    ("vue", "Vue", Class::Ui),
    ("svelte", "Svelte", Class::Ui),
    ("@angular/core", "Angular", Class::Ui),
    ("commander", "Commander", Class::Cli),
    ("prisma", "Prisma", Class::Store),
    ("@prisma/client", "Prisma", Class::Store),
    ("typeorm", "TypeORM", Class::Store),
    ("sequelize", "Sequelize", Class::Store),
    ("mongoose", "MongoDB (Mongoose)", Class::Store),
    ("pg", "PostgreSQL", Class::Store),
    ("mysql2", "MySQL", Class::Store),
    ("ioredis", "Redis", Class::Store),
    ("bullmq", "BullMQ", Class::Queue),
    ("jest", "Jest", Class::Test),
    ("vitest", "Vitest", Class::Test),
    ("mocha", "Mocha", Class::Test),
    ("@playwright/test", "Playwright", Class::Test),
    ("github.com/gin-gonic/gin", "Gin", Class::Web),
    ("github.com/go-chi/chi/v5", "chi", Class::Web),
    ("github.com/go-chi/chi", "chi", Class::Web),
    ("github.com/labstack/echo/v4", "Echo", Class::Web),
    ("github.com/gorilla/mux", "gorilla/mux", Class::Web),
    ("github.com/gofiber/fiber/v2", "Fiber", Class::Web),
    ("github.com/spf13/cobra", "Cobra", Class::Cli),
    ("gorm.io/gorm", "GORM", Class::Store),
    ("github.com/lib/pq", "PostgreSQL", Class::Store),
    ("github.com/jackc/pgx/v5", "PostgreSQL", Class::Store),
    ("github.com/redis/go-redis/v9", "Redis", Class::Store),
    ("github.com/stretchr/testify", "testify", Class::Test),
    ("spring-boot-starter-web", "Spring Boot", Class::Web),
    ("spring-boot-starter-webflux", "Spring WebFlux", Class::Web),
    ("spring-boot-starter-data-jpa", "Spring Data JPA", Class::Store),
    ("spring-boot-starter-test", "Spring Boot Test", Class::Test),
    ("spring-boot-starter-security", "Spring Security", Class::Library),
    ("postgresql", "PostgreSQL", Class::Store),
    ("postgres", "PostgreSQL", Class::Store),
    ("mysql", "MySQL", Class::Store),
    ("mongo", "MongoDB", Class::Store),
    ("kafka", "Kafka", Class::Queue),
    ("rabbitmq", "RabbitMQ", Class::Queue),
    ("junit-jupiter", "JUnit 5", Class::Test),
    ("junit", "JUnit", Class::Test),
    ("rails", "Rails", Class::Web),
    ("sinatra", "Sinatra", Class::Web),
    ("rspec", "RSpec", Class::Test),
    ("laravel/framework", "Laravel", Class::Web),
    ("phpunit/phpunit", "PHPUnit", Class::Test),
];

/// The known parts of the stack, by class, each once, in the order of the table above.
pub(super) fn of(manifests: &[Manifest]) -> BTreeMap<Class, Vec<&'static str>> {
    let mut stack: BTreeMap<Class, Vec<&'static str>> = BTreeMap::new();
    for (dependency, label, class) in KNOWN {
        let is_used = manifests.iter().any(|m| m.dependencies.contains(*dependency));
        let labels = stack.entry(*class).or_default();
        if is_used && !labels.contains(label) {
            labels.push(label);
        }
    }
    stack.retain(|_, labels| !labels.is_empty());
    stack
}
