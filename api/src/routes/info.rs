//! What this server is and can do.

use std::sync::Arc;

use assize_policies::Profile;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Value, json};

use crate::rights::Rights;
use crate::routes::present::backend;
use crate::server::App;

/// The runtimes of this host, and those that are missing, with the reason.
#[utoipa::path(get, path = "/v1/runtimes", responses((status = 200)))]
pub(crate) async fn runtimes(State(app): State<Arc<App>>) -> Json<Value> {
    Json(runtime_list(&app.engine))
}

/// As JSON.
pub(crate) fn runtime_list(engine: &assize_judge::engine::Engine) -> Value {
    let registry = engine.registry();
    let runtimes: Vec<Value> = registry
        .all()
        .map(|r| {
            json!({
                "language": r.manifest.language,
                "title": r.manifest.title,
                "aliases": r.manifest.aliases,
                "backend": backend(r.backend),
                "version": r.version,
                "digest": r.digest,
                "compiled": r.manifest.compile.is_some(),
                "function_tests": r.has_harness(),
            })
        })
        .collect();
    json!({ "runtimes": runtimes, "missing": registry.missing() })
}

/// The policies of this server, what each narrows, and what each grants. With
/// a key, `granted` and `ceiling` are those of the key.
#[utoipa::path(get, path = "/v1/policies", responses((status = 200)))]
pub(crate) async fn policies(State(app): State<Arc<App>>, headers: HeaderMap) -> Json<Value> {
    // Without a key, or with a wrong one, what profiles grant at most.
    let caller = app.keys.caller(&headers);
    let rights = caller.map_or_else(|_| Rights::all(), |c| c.rights.clone());
    let policies: Vec<Value> = app
        .engine
        .all_profiles()
        .map(|p| policy(p, &rights))
        .collect();
    Json(json!({ "policies": policies }))
}

fn policy(profile: &Profile, rights: &Rights) -> Value {
    let ceiling = rights.ceiling(profile);
    json!({
        "name": profile.name,
        "description": profile.description,
        "inherits": profile.inherits,
        "requestable": profile.requestable,
        "granted": rights.grants(profile),
        "limits": profile.limits.meet(ceiling),
        "ceiling": ceiling,
        "files": profile.files,
        "sockets": profile.calls.sockets,
        "subprocesses": profile.calls.subprocesses,
        "denied_syscalls": profile.calls.denied,
    })
}

/// What this host enforces, each line proven by a probe at start.
#[utoipa::path(get, path = "/v1/capabilities", responses((status = 200)))]
pub(crate) async fn capabilities(State(app): State<Arc<App>>) -> Json<Value> {
    let capabilities = app.engine.executor().capabilities();
    let all = capabilities.all_enforced();
    Json(json!({ "all_enforced": all, "capabilities": capabilities }))
}

/// The key that receipts are signed with. One that is `ephemeral` is forgotten
/// when the server stops.
#[utoipa::path(get, path = "/v1/receipts/key", responses((status = 200)))]
pub(crate) async fn receipts_key(State(app): State<Arc<App>>) -> Json<Value> {
    let public = app.signer.public();
    Json(json!({
        "algorithm": "Ed25519",
        "key_id": public.id(),
        "public_key": public.base64(),
        "pem": public.pem(),
        "ephemeral": app.signer.ephemeral(),
    }))
}

/// The process is alive.
#[utoipa::path(get, path = "/healthz", responses((status = 200)))]
pub(crate) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// It takes cases: not shutting down, probes have run.
#[utoipa::path(get, path = "/readyz", responses((status = 200), (status = 503)))]
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Response {
    let load = app.queue.load();
    let (status, word) = if app.is_stopping() {
        (StatusCode::SERVICE_UNAVAILABLE, "shutting_down")
    } else if app.engine.executor().capabilities().probes.is_empty() {
        (StatusCode::SERVICE_UNAVAILABLE, "not_proven")
    } else {
        // `serve` has compared what held with what was required of it.
        (StatusCode::OK, "ready")
    };
    let body = json!({ "status": word, "running": load.running, "waiting": load.waiting });
    (status, Json(body)).into_response()
}

/// Prometheus metrics.
#[utoipa::path(get, path = "/metrics", responses((status = 200, content_type = "text/plain")))]
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let load = app.queue.load();
    app.metrics
        .running
        .set(i64::try_from(load.running).unwrap_or(i64::MAX));
    app.metrics
        .waiting
        .set(i64::try_from(load.waiting).unwrap_or(i64::MAX));
    let kind = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (kind, app.metrics.text()).into_response()
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", responses((status = 200)))]
pub(crate) async fn openapi() -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, crate::openapi()).into_response()
}

/// The same for people: a page that lists the endpoints, with no script and
/// nothing loaded from elsewhere.
pub(crate) async fn docs() -> Html<String> {
    let spec: Value = serde_json::from_str(&crate::openapi()).unwrap_or_default();
    let mut rows = String::new();
    for (path, methods) in spec["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let what = operation["summary"].as_str().unwrap_or_default();
            let method = method.to_uppercase();
            rows.push_str(&format!(
                "<tr><td><code>{method}</code></td><td><code>{path}</code></td><td>{what}</td></tr>"
            ));
        }
    }
    Html(format!(
        "<!doctype html><meta charset=utf-8><title>Assize</title>\
         <style>body{{font:16px/1.5 sans-serif;margin:3em auto;max-width:50em}}\
         td{{padding:.3em 1em .3em 0;vertical-align:top}}</style>\
         <h1>Assize</h1><p>The whole contract: <a href=/openapi.json>openapi.json</a></p>\
         <table>{rows}</table>"
    ))
}
