//! `POST /api/v1/transaction`: acks and pushes, all or none.

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ack::{self, Ack};
use super::params::Params;
use super::push::{self, Item};
use super::{Answered, ApiState, answer, body};
use crate::http::json_response;
use crate::jobs::ack::lease_over;
use crate::jobs::op::{Answer, Op, Refusal, Step, StepDone, Transaction};
use crate::jobs::work::parse_lease;
use crate::limits::JOB_BATCH;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Request {
    operations: Vec<Operation>,
    #[serde(default)]
    required_leases: Vec<String>,
}

/// An ack or a push. Both in one: payloads can't be kept as they are within an enum that a field tells apart.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Operation {
    r#type: String,
    items: Option<Vec<Item>>,
    transaction_id: Option<String>,
    partition_id: Option<String>,
    status: Option<String>,
    error: Option<String>,
    lease_id: Option<String>,
    consumer_group: Option<String>,
}

impl Operation {
    fn step(self) -> Result<Step, Refusal> {
        let missing = |what: &str| Refusal::bad(format!("an operation of type {what}"));
        match (self.r#type.as_str(), self.items) {
            ("push", Some(items)) => Ok(Step::Push(push::items(items)?)),
            ("push", None) => Err(missing("push has items")),
            ("ack", None) => {
                let (Some(transaction_id), Some(partition_id)) =
                    (self.transaction_id, self.partition_id)
                else {
                    return Err(missing("ack has a transactionId and a partitionId"));
                };
                let ack = Ack {
                    transaction_id,
                    partition_id,
                    status: self.status,
                    error: self.error,
                    lease_id: self.lease_id,
                    consumer_group: self.consumer_group,
                };
                Ok(Step::Ack(ack::item(ack, None)?))
            }
            ("ack", Some(_)) => Err(missing("ack has no items")),
            (other, _) => {
                let message = format!("type of an operation is ack or push, not {other:.40}");
                Err(Refusal::bad(message))
            }
        }
    }
}

pub(super) async fn transaction(
    State(state): State<ApiState>,
    params: Params,
    body: Body,
) -> Response {
    answer(done(&state, params, body).await)
}

async fn done(state: &ApiState, params: Params, body: Body) -> Answered {
    let request: Request = body::parsed(body).await?;
    params.end("")?;
    let transaction = read(request)?;
    let Answer::Transaction(steps) = state.jobs()?.run(Op::Transaction(transaction)).await? else {
        return Err(Refusal::new(500, "internal", "the queue gave no answer"));
    };
    let mut results = Vec::new();
    for step in &steps {
        let (kind, values) = match step {
            StepDone::Ack(acked) => ("ack", json!([ack::result(0, acked)])),
            StepDone::Push(all) => ("push", json!(push::results(all))),
        };
        for mut value in values.as_array().cloned().unwrap_or_default() {
            value["index"] = json!(results.len());
            value["type"] = json!(kind);
            value["success"] = json!(true);
            results.push(value);
        }
    }
    let id = uuid::Uuid::new_v4().to_string();
    let body = json!({"success": true, "transactionId": id, "results": Value::Array(results)});
    Ok(json_response(StatusCode::OK, &body))
}

fn read(request: Request) -> Result<Transaction, Refusal> {
    let mut count = 0;
    let mut steps = Vec::with_capacity(request.operations.len());
    for operation in request.operations {
        let step = operation.step()?;
        count += match &step {
            Step::Ack(_) => 1,
            Step::Push(items) => items.len(),
        };
        steps.push(step);
    }
    if count == 0 || count > JOB_BATCH {
        let message = format!("operations has 1 to {JOB_BATCH} acks and messages");
        return Err(Refusal::bad(message));
    }
    if request.required_leases.len() > JOB_BATCH {
        let message = format!("requiredLeases has at most {JOB_BATCH} of them");
        return Err(Refusal::bad(message));
    }
    let leases = request.required_leases.iter();
    let required = leases.map(|lease| parse_lease(lease).ok_or_else(lease_over));
    Ok(Transaction {
        steps,
        required: required.collect::<Result<_, _>>()?,
    })
}
