//! Small repositories that look like real ones.

use std::fs;
use std::path::Path;

use specline_aggregates::Manifest;
use specline_aggregates::manifest::File;
use tempfile::TempDir;

/// A repository: paths with their contents.
pub(super) type Repo = &'static [(&'static str, &'static str)];

/// Writes `files` into a new folder.
pub(super) fn lay(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// The manifest that the engine would take.
pub(super) fn manifest(root: &Path) -> Manifest {
    let listing = super::super::walk::read(root).unwrap();
    let files = listing.files.iter().map(|file| File {
        path: file.path.clone(),
        bytes: file.bytes,
        oid: String::new(),
    });
    Manifest::new("0".repeat(40), files.collect())
}

pub(super) const AXUM: Repo = &[
    (
        "Cargo.toml",
        "[package]\nname = \"orders\"\n\n[dependencies]\naxum = \"0.8\"\nsqlx = \"0.8\"\n\
      serde = { version = \"1\", features = [\"derive\"] }\nthiserror = \"2\"\n",
    ),
    ("README.md", "# Orders\n\nOrders is a small service that keeps the orders of a shop.\n"),
    (
        "src/main.rs",
        "//! Starts the service.\n\nmod error;\nmod model;\nmod routes;\n\n\
      #[tokio::main]\nasync fn main() {\n    let app = routes::router();\n}\n",
    ),
    (
        "src/routes.rs",
        "//! The public API.\n\nuse axum::{Router, routing::{get, post}};\n\n\
      pub fn router() -> Router {\n    Router::new()\n        .route(\"/orders\", get(list_orders)\
      .post(create_order))\n        .route(\"/orders/{id}\", \
      get(show_order).delete(drop_order))\n}\n\n\
      async fn list_orders() {}\nasync fn create_order() {}\nasync fn show_order() {}\n",
    ),
    (
        "src/model.rs",
        "//! What is stored.\n\n#[derive(Serialize, FromRow)]\npub struct Order {\n    \
      pub id: Uuid,\n    pub customer: String,\n    pub total_cents: i64,\n}\n",
    ),
    (
        "src/error.rs",
        "//! Errors.\n\n#[derive(thiserror::Error, Debug)]\npub enum Error {\n    \
      #[error(\"no such order\")]\n    NotFound,\n}\n",
    ),
    ("tests/orders.rs", "#[test]\nfn lists_orders() {}\n"),
];

pub(super) const FASTAPI: Repo = &[
    (
        "pyproject.toml",
        "[project]\nname = \"blog\"\ndependencies = [\n  \"fastapi>=0.1\",\n  \
      \"sqlalchemy\",\n]\n\n[project.optional-dependencies]\ndev = [\"pytest\"]\n",
    ),
    ("README.md", "# Blog\n\nA blog with posts and comments, served as JSON.\n"),
    ("app/__init__.py", ""),
    (
        "app/main.py",
        "\"\"\"Starts the application.\"\"\"\nfrom fastapi import FastAPI\n\n\
      app = FastAPI()\n",
    ),
    (
        "app/routers/posts.py",
        "\"\"\"Posts.\"\"\"\n\n@router.get(\"/posts\")\nasync def list_posts():\n\
      \x20   return []\n\n@router.post(\"/posts\")\nasync def create_post(post: Post):\n    \
      raise HTTPException(422)\n",
    ),
    (
        "app/models.py",
        "from pydantic import BaseModel\n\n\nclass Post(BaseModel):\n    id: int\n    \
      title: str\n    body: str\n\n\nclass User(Base):\n    id = Column(Integer)\n    \
      email = Column(String)\n",
    ),
    ("tests/test_posts.py", "def test_list_posts():\n    assert True\n"),
];

pub(super) const EXPRESS: Repo = &[
    (
        "package.json",
        "{\"name\": \"shop\", \"main\": \"src/index.ts\", \"dependencies\": \
      {\"express\": \"4\", \"pg\": \"8\"}, \"devDependencies\": {\"jest\": \"29\"}}",
    ),
    ("README.md", "# Shop\n\nThe back end of a web shop, with carts and payments.\n"),
    (
        "src/index.ts",
        "import express from 'express';\nconst app = express();\n\
      app.use('/api', router);\napp.listen(3000);\n",
    ),
    (
        "src/routes/cartRoutes.ts",
        "export const router = Router();\n\n\
      router.get('/carts/:id', getCart);\nrouter.post('/carts', createCart);\n",
    ),
    (
        "src/services/cartService.ts",
        "export interface Cart {\n  id: string;\n  items: Item[];\n}\n\n\
      export async function getCart(id: string): Promise<Cart> {\n  try {\n  } catch (e) {}\n}\n\n\
      export const createCart = async (cart: Cart) => {};\n",
    ),
    ("src/middleware/requestLog.ts", "export function requestLog(req, res, next) { next(); }\n"),
    ("src/services/cartService.test.ts", "test('gets a cart', () => {});\n"),
];

pub(super) const GO: Repo = &[
    (
        "go.mod",
        "module example.org/links\n\ngo 1.22\n\nrequire (\n\tgithub.com/go-chi/chi/v5 v5.0.1\n)\n",
    ),
    ("README.md", "# Links\n\nShortens links and counts how often each is opened.\n"),
    (
        "cmd/links/main.go",
        "package main\n\nfunc main() {\n\tr := chi.NewRouter()\n\
      \tr.Get(\"/links/{id}\", server.Show)\n\tr.Post(\"/links\", server.Create)\n}\n",
    ),
    (
        "internal/server/server.go",
        "// Package server answers requests.\npackage server\n\n\
      type Link struct {\n\tID string `json:\"id\"`\n\tTarget string `json:\"target\"`\n}\n\n\
      func (s *Server) Show(w http.ResponseWriter, r *http.Request) {\n\tif err != nil {\n\t}\n}\n",
    ),
    ("internal/server/server_test.go", "package server\n\nfunc TestShow(t *testing.T) {}\n"),
];

pub(super) const SPRING: Repo = &[
    (
        "pom.xml",
        "<project><artifactId>invoices</artifactId><dependencies><dependency>\
      <artifactId>spring-boot-starter-web</artifactId></dependency><dependency>\
      <artifactId>spring-boot-starter-data-jpa</artifactId></dependency></dependencies></project>",
    ),
    ("README.md", "# Invoices\n\nWrites invoices and sends them to customers.\n"),
    (
        "src/main/java/org/acme/InvoiceApplication.java",
        "package org.acme;\n\n@SpringBootApplication\n\
      public class InvoiceApplication {\n    public static void main(String[] args) {\n    }\n}\n",
    ),
    (
        "src/main/java/org/acme/InvoiceController.java",
        "package org.acme;\n\n@RestController\n\
      @RequestMapping(\"/invoices\")\npublic class InvoiceController {\n    \
      @GetMapping(\"/{id}\")\n    \
      public Invoice show(String id) {\n        throw new NotFound();\n    }\n\n    \
      @PostMapping\n    \
      public Invoice createInvoice(Invoice invoice) { return invoice; }\n}\n",
    ),
    (
        "src/main/java/org/acme/Invoice.java",
        "package org.acme;\n\n@Entity\npublic class Invoice {\n    \
      private Long id;\n    private String customer;\n    private BigDecimal total;\n}\n",
    ),
    ("src/test/java/org/acme/InvoiceControllerTest.java", "class InvoiceControllerTest {}\n"),
];

pub(super) const EMPTY: Repo = &[];

pub(super) const DOCS: Repo = &[
    ("README.md", "# Handbook\n\nHow this company works, in plain words.\n"),
    ("docs/holidays.md", "# Holidays\n\nEveryone has 30 days.\n"),
    ("docs/expenses.md", "# Expenses\n\nKeep receipts.\n"),
];

pub(super) const MONOREPO: Repo = &[
    ("package.json", "{\"name\": \"all\", \"workspaces\": [\"packages/*\"]}"),
    ("README.md", "# All\n\nA web front end and the service behind it.\n"),
    ("packages/web/package.json", "{\"name\": \"web\", \"dependencies\": {\"react\": \"18\"}}"),
    ("packages/web/src/App.tsx", "export default function App() { return null; }\n"),
    ("packages/web/src/ThemePicker.tsx", "export const ThemePicker = () => { return null; };\n"),
    ("packages/api/package.json", "{\"name\": \"api\", \"dependencies\": {\"fastify\": \"4\"}}"),
    (
        "packages/api/src/server.ts",
        "const app = fastify();\napp.get('/reports', listReports);\n\
      app.listen(1);\n",
    ),
    (
        "packages/api/src/reports.ts",
        "export interface Report {\n  id: string;\n  total: number;\n}\n\
      export async function listReports() {}\n",
    ),
    ("services/jobs/Cargo.toml", "[package]\nname = \"jobs\"\n[dependencies]\ntokio = \"1\"\n"),
    ("services/jobs/src/main.rs", "fn main() {}\n"),
];

pub(super) const ALL: &[(&str, Repo)] = &[
    ("axum", AXUM),
    ("fastapi", FASTAPI),
    ("express", EXPRESS),
    ("go", GO),
    ("spring", SPRING),
    ("empty", EMPTY),
    ("docs", DOCS),
    ("monorepo", MONOREPO),
];
