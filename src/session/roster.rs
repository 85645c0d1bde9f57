//! The sessions of one HTTP thread, for what concerns many of them at once: draining the node and apps that go.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context, Handler, Message};

use super::{Outbox, farewell::Words};
use crate::{
    app::Registry,
    protocol::{Close, SocketId},
};

/// How often a drain closes some sessions.
const STEP: Duration = Duration::from_millis(50);

/// The sessions of one thread. A session that enters late, while its node drains or after its app has gone, is closed
/// as it enters: it was not there when the others were closed.
pub struct Roster {
    sessions: HashMap<SocketId, Listed>,
    registry: Registry,
    draining: bool,
}

/// A session as the roster knows it.
#[derive(Clone)]
pub struct Listed {
    /// Its app.
    pub app_id: Arc<str>,
    /// Where its close frame goes.
    pub outbox: Arc<Outbox>,
    /// How it is told.
    pub words: Words,
}

/// A session has begun.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Enter(pub SocketId, pub Listed);

/// A session has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Exit(pub SocketId);

/// Close all sessions of an app.
#[derive(Message, Clone)]
#[rtype(result = "()")]
pub struct CloseApp {
    /// The app.
    pub app_id: Arc<str>,
    /// Why.
    pub close: Close,
}

/// Close all sessions, spread evenly over a time.
#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
pub struct Drain(pub Duration);

impl Roster {
    /// A roster without sessions.
    pub fn new(registry: Registry) -> Self {
        Self { sessions: HashMap::new(), registry, draining: false }
    }

    /// Why a session that enters now may not stay.
    fn objection(&self, session: &Listed) -> Option<Close> {
        match self.registry.by_id(&session.app_id) {
            _ if self.draining => Some(session.words.going_away()),
            None => Some(Close::AppUnknown),
            Some(app) => (!app.settings().enabled).then_some(Close::AppDisabled),
        }
    }

    /// Closes the next part of the sessions, in the random order of their ids. Sessions that closed themselves and
    /// sockets that do not answer are no reason to hurry or to wait.
    fn drain(&mut self, waiting: Vec<Listed>, steps: usize, ctx: &mut Context<Self>) {
        let (now, later) = waiting.split_at(waiting.len().div_ceil(steps.max(1)));
        for session in now {
            session.words.close(&session.outbox, session.words.going_away());
        }
        if later.is_empty() {
            return;
        }
        let later = later.to_vec();
        ctx.run_later(STEP, move |roster, ctx| roster.drain(later, steps.saturating_sub(1), ctx));
    }
}

impl Actor for Roster {
    type Context = Context<Self>;
}

impl Handler<Enter> for Roster {
    type Result = ();

    fn handle(&mut self, Enter(id, session): Enter, _: &mut Context<Self>) {
        if let Some(close) = self.objection(&session) {
            session.words.close(&session.outbox, close);
        }
        self.sessions.insert(id, session);
    }
}

impl Handler<Exit> for Roster {
    type Result = ();

    fn handle(&mut self, Exit(id): Exit, _: &mut Context<Self>) {
        self.sessions.remove(&id);
    }
}

impl Handler<CloseApp> for Roster {
    type Result = ();

    fn handle(&mut self, CloseApp { app_id, close }: CloseApp, _: &mut Context<Self>) {
        for session in self.sessions.values().filter(|session| session.app_id == app_id) {
            session.words.close(&session.outbox, close);
        }
    }
}

impl Handler<Drain> for Roster {
    type Result = ();

    fn handle(&mut self, Drain(window): Drain, ctx: &mut Context<Self>) {
        self.draining = true;
        let steps = window.as_millis() / STEP.as_millis();
        self.drain(self.sessions.values().cloned().collect(), steps as usize, ctx);
    }
}
