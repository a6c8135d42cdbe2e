//! What a caller may ask for: the tenant's part of `host ∧ tenant ∧ profile ∧
//! request`. The host's part is in the profiles already.

use std::collections::BTreeSet;
use std::sync::Arc;

use assize_policies::{Limits, LimitsRequest, Profile};

use crate::admit::{Refusal, RefusalKind, refuse};

/// What a caller may ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    tenant: Arc<str>,
    profiles: Option<BTreeSet<String>>,
    ceiling: LimitsRequest,
}

impl Rights {
    /// Everything that profiles grant: the local user, and the anonymous one
    /// of a server without keys.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Only these profiles (all when absent), and never more than these limits.
    #[must_use]
    pub fn limited(profiles: Option<BTreeSet<String>>, ceiling: LimitsRequest) -> Self {
        Self {
            tenant: "".into(),
            profiles,
            ceiling,
        }
    }

    /// The same of this tenant: nothing that is kept of what one sent is used
    /// for another.
    #[must_use]
    pub fn of(self, tenant: &str) -> Self {
        Self {
            tenant: tenant.into(),
            ..self
        }
    }

    /// Whose they are; empty for the local user.
    #[must_use]
    pub fn tenant(&self) -> &Arc<str> {
        &self.tenant
    }

    /// The profiles it is limited to, if it is.
    pub(crate) fn named(&self) -> impl Iterator<Item = &str> {
        self.profiles.iter().flatten().map(String::as_str)
    }

    /// Whether this caller may name that profile.
    #[must_use]
    pub fn grants(&self, profile: &Profile) -> bool {
        let named = self.profiles.as_ref();
        profile.requestable && named.is_none_or(|p| p.contains(&profile.name))
    }

    /// What this caller gets at most under a profile.
    #[must_use]
    pub fn ceiling(&self, profile: &Profile) -> Limits {
        profile.ceiling.capped(&self.ceiling)
    }

    /// The profile a request names, if this caller may.
    pub(crate) fn choose<'a>(
        &self,
        profiles: impl Iterator<Item = &'a Arc<Profile>>,
        named: Option<&str>,
    ) -> Result<&'a Arc<Profile>, Refusal> {
        let name = named.unwrap_or("default");
        let mut forbidden = false;
        let mut mine = Vec::new();
        for profile in profiles.filter(|p| p.requestable) {
            match (profile.name == name, self.grants(profile)) {
                (true, true) => return Ok(profile),
                (true, false) => forbidden = true,
                (false, true) => mine.push(profile.name.as_str()),
                (false, false) => {}
            }
        }
        let mine = mine.join(", ");
        if forbidden {
            return Err(Refusal {
                kind: RefusalKind::Forbidden,
                code: "policy_not_granted",
                field: "policy".into(),
                message: format!("this key does not grant {name}; it grants: {mine}"),
            });
        }
        let message = format!("unknown policy, this server has: {mine}");
        Err(refuse("unknown_policy", "policy", message))
    }

    /// The limits a request asks for, if this caller gets them under that
    /// profile. What it does not ask for is the profile's default, within
    /// what the caller gets.
    pub(crate) fn limits(
        &self,
        profile: &Profile,
        asked: &LimitsRequest,
    ) -> Result<Limits, Refusal> {
        profile
            .limits
            .requested(asked, self.ceiling(profile))
            .map_err(|e| refuse("limit_out_of_range", e.field(), e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use assize_policies::Profiles;

    use super::*;

    fn cpu(ms: u64) -> LimitsRequest {
        LimitsRequest {
            cpu_ms: Some(ms),
            ..LimitsRequest::default()
        }
    }

    #[test]
    fn more_than_the_tenants_ceiling_is_refused_by_field_whatever_the_profile_grants() {
        let shipped = Profiles::shipped().unwrap();
        let profile = shipped.get("default").unwrap();
        let tenant = Rights::limited(None, cpu(1500));
        let refused = tenant.limits(profile, &cpu(1501)).unwrap_err();
        assert_eq!(refused.field, "limits.cpu_ms");
        assert_eq!(refused.kind, RefusalKind::Invalid);
        assert_eq!(tenant.limits(profile, &cpu(1500)).unwrap().cpu_ms, 1500);
        // The default, 2000, gives way: nobody asked for it.
        let silent = tenant.limits(profile, &LimitsRequest::default()).unwrap();
        assert_eq!(silent.cpu_ms, 1500);
        assert_eq!(
            Rights::all().limits(profile, &cpu(1501)).unwrap().cpu_ms,
            1501
        );
    }

    #[test]
    fn the_tightest_of_host_tenant_and_profile_holds() {
        let host = Profiles::shipped().unwrap().under(&cpu(1000)).unwrap();
        let tenant = Rights::limited(None, cpu(1500));
        for profile in host.iter().filter(|p| p.requestable) {
            assert!(
                tenant.limits(profile, &cpu(1001)).is_err(),
                "{}",
                profile.name
            );
            assert!(
                tenant.limits(profile, &cpu(1000)).is_ok(),
                "{}",
                profile.name
            );
        }
    }

    #[test]
    fn a_key_for_one_profile_is_refused_the_others_and_the_silent_default() {
        let shipped = Profiles::shipped().unwrap();
        let tenant = Rights::limited(Some(["strict".to_owned()].into()), LimitsRequest::default());
        let choose = |name| tenant.choose(shipped.iter(), name);
        assert_eq!(choose(Some("strict")).unwrap().name, "strict");
        for name in [Some("agent"), Some("default"), None] {
            let refused = choose(name).unwrap_err();
            assert_eq!(
                (refused.kind, refused.code),
                (RefusalKind::Forbidden, "policy_not_granted")
            );
            assert_eq!(refused.field, "policy");
            assert!(refused.message.contains("it grants: strict"), "{refused}");
        }
        // What nobody may name is unknown, to this key as to any.
        for name in ["worker", "compile", "base", "anything"] {
            assert_eq!(choose(Some(name)).unwrap_err().code, "unknown_policy");
        }
        assert_eq!(
            Rights::all().choose(shipped.iter(), None).unwrap().name,
            "default"
        );
    }
}
