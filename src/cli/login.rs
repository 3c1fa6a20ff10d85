//! What the command line says about an agent: the URL of its card, the dialect, and its credentials.

use std::path::Path;

use http::{HeaderName, HeaderValue};

use super::args::Login;
use super::output::Failure;
use crate::config::Credentials;
use crate::config::secret::SecretRef;
use crate::domain::agent::card::Dialect;
use crate::engine::credentials::CredentialBook;

pub(super) fn dialect(login: &Login) -> Result<Option<Dialect>, Failure> {
    match &login.a2a_version {
        None => Ok(None),
        Some(version) => Dialect::from_version(version)
            .map(Some)
            .ok_or_else(|| Failure::usage(format!("A2A {version} is not spoken")).hint("1.0 and 0.3 are")),
    }
}

/// A reference as a URL; a card's file becomes a file URL.
pub(super) fn card_url(reference: &str) -> Result<String, Failure> {
    if let Some(path) = reference.strip_prefix("file://") {
        return file_url(Path::new(path));
    }
    if !reference.contains("://") && Path::new(reference).is_file() {
        return file_url(Path::new(reference));
    }
    if is_no_card(reference) {
        return Err(Failure::usage(format!(
            "{reference:?} is no regular file, so that no card is read from it"
        ))
        .hint("name a card's file, or a URL with its scheme"));
    }
    match crate::net::credentials::parse_url(reference) {
        Some(_) => Ok(reference.to_owned()),
        None => Err(Failure::usage(format!("{reference:?} is neither a URL nor a file"))),
    }
}

/// True for a path that exists and cannot hold a card: a pipe, a device, a socket, or a folder.
fn is_no_card(reference: &str) -> bool {
    let is_path = reference.starts_with(['/', '.']);
    let kind = std::fs::metadata(reference).ok().filter(|_| !reference.contains("://"));
    kind.is_some_and(|kind| !kind.is_file() && (is_path || !kind.is_dir()))
}

fn file_url(path: &Path) -> Result<String, Failure> {
    let read = std::fs::canonicalize(path).and_then(|path| crate::net::card_file::read(&path).map(|_| path));
    let path = read.map_err(|error| {
        Failure::new(3, "A2ACLI_ERR_CARD_NOT_FOUND", format!("no card in {}: {error}", path.display()))
            .hint("name the file of a card, as JSON of at most 4 MiB")
    })?;
    Ok(format!("file://{}", path.display()))
}

/// Applies the command line's credentials to the URLs that it names.
pub(super) fn apply_login(
    access: &mut CredentialBook,
    login: &Login,
    urls: &[String],
) -> Result<(), Failure> {
    let read = |flag: &str, variable: &str, text: &Option<String>| {
        let text = text.as_ref()?;
        let Ok(secret) = text.parse::<SecretRef>();
        let from_environment = std::env::var(variable).is_ok_and(|value| value == *text);
        if secret.is_literal() && !from_environment {
            super::warn_once(&format!(
                "{flag} holds the secret itself, where other users may see it; env:NAME, file:PATH or cmd:COMMAND do not"
            ));
        }
        Some(match secret.length_fault() {
            Some(fault) => Err(Failure::usage(format!("{flag}: {} {fault}", secret.shown()))),
            None => Ok(secret),
        })
    };
    let bearer = read("--bearer", "A2ACLI_BEARER", &login.bearer).transpose()?;
    let api_key = read("--api-key", "A2ACLI_API_KEY", &login.api_key).transpose()?;
    if bearer.is_some() || api_key.is_some() {
        let credentials = Credentials { bearer, ..Credentials::default() };
        for url in urls {
            access.add_credentials(url, &credential_origin(url), &credentials, api_key.clone());
        }
    }
    for parameter in &login.svc_param {
        let (name, value) = parameter
            .split_once(':')
            .ok_or_else(|| Failure::usage(format!("--svc-param {parameter:?} is not KEY:VALUE")))?;
        let name = HeaderName::try_from(name.trim())
            .map_err(|_| Failure::usage(format!("--svc-param: {name:?} is no header name")))?;
        let mut value = HeaderValue::try_from(value.trim())
            .map_err(|_| Failure::usage(format!("--svc-param {name}: its value fits into no header")))?;
        // It may contain a credential and is never shown.
        value.set_sensitive(true);
        access.add_parameter(name, value);
    }
    if let Some(ca) = &login.ca {
        access.set_ca(ca.clone());
    }
    if login.insecure {
        super::warn_once("--insecure: certificates are not verified; anybody may be listening");
        access.set_insecure();
    }
    Ok(())
}

/// Credentials for a card's file go to where its own interface is.
fn credential_origin(url: &str) -> String {
    let Some(path) = url.strip_prefix("file://") else { return url.to_owned() };
    let card = crate::net::card_file::read(Path::new(path)).ok();
    let card = card.and_then(|text| crate::protocol::card::decode(&text).ok());
    let offer = card.and_then(|card| card.offers.first().map(|offer| offer.url.raw().to_owned()));
    offer.unwrap_or_else(|| url.to_owned())
}
