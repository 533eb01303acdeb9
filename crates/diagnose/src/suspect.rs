//! The value that made an instruction fail, and the word of memory that it was read from.

use std::sync::atomic::AtomicBool;

use necropsy_lexicon::{AddressClass, value};
use necropsy_linux::{Kernel, search::Needle};

use crate::{
    explain::{BadAddress, Explanation, Happened, NoCode, Step},
    inquiry::Inquiry,
};

/// A value that cannot be right where it was used as an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Suspect {
    /// The value.
    pub(crate) value: u64,
    /// The word of memory that it came from.
    pub(crate) home: Option<u64>,
    /// The code shows that it was read there; otherwise memory holds the value there and nowhere
    /// else.
    pub(crate) proved: bool,
    /// What the source would call it.
    pub(crate) name: Option<String>,
    /// Its C type.
    pub(crate) r#type: Option<String>,
}

/// Homes of a value that are looked at: one is a proof, several are none.
const MOST_HOMES: usize = 64;

impl Suspect {
    /// The value that the failing instruction of the inquiry died of, if it died of one.
    pub(crate) fn of(inquiry: &Inquiry<'_>) -> Option<Suspect> {
        inquiry.suspect.get_or_init(|| Self::find(inquiry)).clone()
    }

    fn find(inquiry: &Inquiry<'_>) -> Option<Suspect> {
        let explanation = inquiry.explanation()?;
        let address = match &explanation.what {
            Happened::Access(access) => match access.why {
                BadAddress::Null | BadAddress::NearNull { .. } | BadAddress::ReadOnly => {
                    return None;
                }
                _ => access.address,
            },
            Happened::BadJump { to, why } => match why {
                NoCode::BadAddress(BadAddress::Null | BadAddress::NearNull { .. }) => return None,
                _ => *to,
            },
            _ => return None,
        };
        Self::at(inquiry, explanation, address)
    }

    fn at(inquiry: &Inquiry<'_>, explanation: &Explanation, address: u64) -> Option<Suspect> {
        let (kernel, quick) = (inquiry.kernel, inquiry.quick);
        let per_cpu = inquiry.case.as_ref().and_then(|case| case.per_cpu_base);
        // What the address was made of: a register's worth that is itself no good.
        let near = |step: &&Step| {
            step.value.filter(|value| Some(*value) != per_cpu).is_some_and(|value| {
                value == address
                    || (address.abs_diff(value) < 1 << 16 && is_bad(kernel, value))
                    || (is_bad(kernel, value) && value > 1 << 32)
            })
        };
        let first = explanation.steps.iter().find(near);
        let value = first.and_then(|step| step.value).unwrap_or(address);
        let same = |step: &&Step| step.value == Some(value);
        let told = explanation.steps.iter().filter(same);
        // The outermost place it was copied from is its home.
        let home = told.clone().rev().find_map(|step| step.read_from);
        let name = told.clone().find_map(|step| step.name.clone());
        let r#type = told.clone().find_map(|step| step.r#type.clone());
        let holds = |at: &u64| kernel.target().read_u64(*at) == Ok(value);
        let mut suspect = Suspect { value, home: home.filter(holds), proved: false, name, r#type };
        suspect.proved = suspect.home.is_some();
        if suspect.home.is_none() {
            suspect.home = beside_registers(inquiry, value);
        }
        if suspect.home.is_none() && !quick && is_rare(kernel, value) {
            suspect.home = only_home(kernel, value);
        }
        Some(suspect)
    }
}

/// Bytes behind what a register points to in which a member is looked for.
const MEMBERS: u64 = 128;

/// The word that holds a value in an object which a register of the failing frame points to.
fn beside_registers(inquiry: &Inquiry<'_>, value: u64) -> Option<u64> {
    let case = inquiry.case.as_ref()?;
    let frame = case.trace().frames.get(case.exception()?)?;
    let kernel = inquiry.kernel;
    let objects = frame
        .regs
        .iter()
        .map(|(_, at)| at)
        .filter(|at| at % 8 == 0 && matches!(kernel.slab_object(*at), Ok(Some(_))));
    let mut words = objects.flat_map(|at| (0..MEMBERS).step_by(8).map(move |member| at + member));
    words.find(|at| kernel.target().read_u64(*at) == Ok(value))
}

/// Whether nothing can be at an address.
pub(crate) fn is_bad(kernel: &Kernel, address: u64) -> bool {
    if !kernel.target().address_class(address).is_kernel() {
        return true;
    }
    kernel.target().translate(address).is_err()
}

/// Whether a value is one that does not occur by accident.
fn is_rare(kernel: &Kernel, value: u64) -> bool {
    let bytes = value.to_le_bytes();
    let distinct = bytes.iter().collect::<std::collections::HashSet<_>>().len();
    value > 1 << 32
        && value::near_poison(value, true).is_none()
        && value::error_number(value, true).is_none()
        && (distinct > 3 || kernel.target().address_class(value) != AddressClass::NonCanonical)
}

/// The one word of a slab or of kernel data that holds a value; stacks have copies.
fn only_home(kernel: &Kernel, value: u64) -> Option<u64> {
    let target = kernel.target();
    let end = target.dump_pfns() << target.page_shift();
    let needle = Needle::Word { value, mask: 0, size: 8 };
    let found = kernel.search(&needle, 0, end, MOST_HOMES, &AtomicBool::new(false));
    if found.len() >= MOST_HOMES {
        return None;
    }
    let mut homes = found
        .into_iter()
        .filter_map(|physical| target.layout()?.to_virtual(physical))
        .filter(|at| matches!(kernel.slab_object(*at), Ok(Some(_))));
    match (homes.next(), homes.next()) {
        (Some(home), None) => Some(home),
        _ => None,
    }
}
