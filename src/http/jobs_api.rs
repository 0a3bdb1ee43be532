//! The work queue over HTTP, in the wire of Queen MQ: `/api/v1/push`, `/api/v1/pop/…`, `/api/v1/ack` and the rest.
//! `docs/JOBS.md` has the contract.
//!
//! Every error is `{"error": text, "code": word, "message": text}`: clients of that wire show `error`.

mod ack;
mod body;
mod groups;
mod lists;
mod messages;
mod params;
mod pop;
mod push;
mod queues;
mod text;
mod transaction;

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use serde_json::{Value, json};

use super::long::{self, LongAnswers, Room};
use super::names::RefusesPaths;
use super::{HttpState, json_response, server_api};
use crate::jobs::Jobs;
use crate::jobs::look::Query;
use crate::jobs::op::{Answer, Op, Refusal};
use crate::limits::JOB_ANSWER_BYTES;

/// What the handlers share.
#[derive(Clone)]
pub(super) struct ApiState {
    /// `None`: the backplane has no queue.
    jobs: Option<Arc<Jobs>>,
    long_answers: LongAnswers,
}

/// A handler's answer, whichever way it came.
type Answered = Result<Response, Refusal>;

impl ApiState {
    fn jobs(&self) -> Result<&Jobs, Refusal> {
        self.jobs.as_deref().ok_or_else(|| {
            Refusal::new(
                501,
                "not-implemented",
                "this relay has no jobs: use the file (--db), --redis or --queue off",
            )
        })
    }

    async fn run(&self, op: Op) -> Answered {
        self.jobs()?.run(op).await.map(answered)
    }

    async fn look(&self, query: Query) -> Answered {
        self.jobs()?.look(query).await.map(answered)
    }

    /// The same of what may be long: it has room before it is read.
    async fn list(&self, query: Query) -> Answered {
        let jobs = self.jobs()?;
        let room = self.room(JOB_ANSWER_BYTES).await?;
        Ok(match jobs.look(query).await? {
            Answer::Raw(text) => long::whole(text, room),
            answer => answered(answer),
        })
    }

    /// Room for an answer of so many bytes.
    async fn room(&self, bytes: usize) -> Result<Room, Refusal> {
        let room = self.long_answers.room(bytes).await;
        let message = "other long answers are still being read: ask again later";
        room.ok_or_else(|| Refusal::new(503, "overloaded", message))
    }
}

impl RefusesPaths for ApiState {
    fn bad_path(message: String) -> Response {
        answer(Err(Refusal::bad(message)))
    }
}

/// The routes, behind the guard of the server API.
pub(super) fn router(http: HttpState) -> Router<HttpState> {
    let state = ApiState {
        jobs: http.jobs.clone(),
        long_answers: http.long_answers.clone(),
    };
    Router::new()
        .merge(messages_routes())
        .merge(queues_routes())
        .layer(from_fn_with_state(http, server_api::guard_jobs))
        .with_state(state)
}

/// What of it the dashboard uses, below a prefix and a guard of its own. Nothing that is read here takes anything out of a queue.
pub(super) fn for_dashboard(http: &HttpState) -> Router<HttpState> {
    let state = ApiState {
        jobs: http.jobs.clone(),
        long_answers: http.long_answers.clone(),
    };
    Router::new()
        .route("/queues", get(queues::list))
        .route("/queues/{queue}", get(queues::show))
        .route("/consumer-groups", get(groups::list))
        .route("/messages", get(lists::messages))
        .route("/dlq", get(lists::dead))
        .route("/dlq/{id}/reviewed", post(messages::reviewed))
        .route("/dlq/{id}/replay", post(messages::replay))
        .with_state(state)
}

fn messages_routes() -> Router<ApiState> {
    Router::new()
        .route("/api/v1/push", post(push::push))
        .route("/api/v1/pop", get(pop::filtered))
        .route("/api/v1/pop/queue/{queue}", get(pop::queue))
        .route(
            "/api/v1/pop/queue/{queue}/partition/{partition}",
            get(pop::partition),
        )
        .route("/api/v1/peek/queue/{queue}", get(lists::peek))
        .route("/api/v1/ack", post(ack::one))
        .route("/api/v1/ack/batch", post(ack::batch))
        .route("/api/v1/transaction", post(transaction::transaction))
        .route("/api/v1/lease/{lease}/extend", post(ack::extend))
        .route("/api/v1/messages", get(lists::messages))
        .route(
            "/api/v1/messages/{partition}/{message}",
            get(lists::message).delete(messages::delete),
        )
        .route(
            "/api/v1/messages/{partition}/{message}/requeue",
            post(messages::requeue),
        )
        .route(
            "/api/v1/messages/{partition}/{message}/retry",
            post(messages::requeue),
        )
        .route(
            "/api/v1/messages/{partition}/{message}/dlq",
            post(messages::to_dead),
        )
        .route("/api/v1/dlq", get(lists::dead))
        .route("/api/v1/dlq/{id}/reviewed", post(messages::reviewed))
        .route("/api/v1/dlq/{id}/replay", post(messages::replay))
        .route("/api/v1/traces", post(messages::trace))
        .route("/api/v1/traces/names", get(lists::trace_names))
        .route("/api/v1/traces/by-name/{name}", get(lists::traces_named))
        .route("/api/v1/traces/{partition}/{message}", get(lists::traces))
}

fn queues_routes() -> Router<ApiState> {
    Router::new()
        .route("/api/v1/configure", post(queues::configure))
        .route("/api/v1/resources/overview", get(queues::overview))
        .route("/api/v1/resources/queues", get(queues::list))
        .route(
            "/api/v1/resources/queues/{queue}",
            get(queues::show).delete(queues::delete),
        )
        .route("/api/v1/resources/namespaces", get(queues::namespaces))
        .route("/api/v1/resources/tasks", get(queues::tasks))
        .route("/api/v1/resources/partitions", get(queues::partitions))
        .route("/api/v1/queues/{queue}/clear", delete(queues::clear))
        .route("/api/v1/status", get(queues::overview))
        .route("/api/v1/status/queues", get(queues::list))
        .route("/api/v1/status/queues/{queue}", get(queues::show))
        .route(
            "/api/v1/status/queues/{queue}/messages",
            get(lists::messages_of),
        )
        .route("/api/v1/status/analytics", get(queues::analytics))
        .route("/api/v1/consumer-groups", get(groups::list))
        .route("/api/v1/consumer-groups/lagging", get(groups::lagging))
        .route(
            "/api/v1/consumer-groups/{group}",
            get(groups::show).delete(groups::delete),
        )
        .route(
            "/api/v1/consumer-groups/{group}/subscription",
            post(groups::subscribe),
        )
        .route(
            "/api/v1/consumer-groups/{group}/queues/{queue}",
            delete(groups::delete_of_queue),
        )
        .route(
            "/api/v1/consumer-groups/{group}/queues/{queue}/seek",
            post(groups::seek),
        )
        .route("/api/v1/stats/refresh", post(queues::refresh))
}

/// What was asked for, or why not.
fn answer(result: Answered) -> Response {
    result.unwrap_or_else(|refusal| refused(&refusal, json!({})))
}

/// A refusal, with what else is to be said.
fn refused(refusal: &Refusal, mut body: Value) -> Response {
    body["success"] = json!(false);
    body["error"] = json!(refusal.message);
    body["code"] = json!(refusal.code);
    body["message"] = json!(refusal.message);
    let status = StatusCode::from_u16(refusal.status);
    let mut response = json_response(status.unwrap_or(StatusCode::BAD_REQUEST), &body);
    if matches!(refusal.status, 429 | 503) {
        let second = header::HeaderValue::from_static("1");
        response.headers_mut().insert(header::RETRY_AFTER, second);
    }
    response
}

fn answered(answer: Answer) -> Response {
    match answer {
        Answer::Json(body) => json_response(StatusCode::OK, &body),
        Answer::Raw(text) => raw(StatusCode::OK, text),
        _ => json_response(StatusCode::OK, &json!({"success": true})),
    }
}

/// JSON as text, which no cache keeps.
fn raw(status: StatusCode, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, text).into_response()
}
