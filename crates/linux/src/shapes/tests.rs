//! Every alternative against types of a kernel that had it: no dump is needed.

mod build;
mod table;
mod under_way;

use std::collections::HashSet;

use build::Build;
use necropsy_dump::VmCoreInfo;
use table::Case;

use super::Shapes;
use crate::shape::{Form, Found, ShapeKind, Sources};

fn kernels() -> impl Iterator<Item = &'static Case> {
    table::KERNELS.iter().chain(under_way::KERNELS)
}

/// What one kernel resolves to.
fn resolve(case: &Case) -> Shapes {
    let build = Build::new(case.types);
    let info = VmCoreInfo::parse(case.info.as_bytes());
    let symbols = |name: &str| {
        let at = case.symbols.iter().position(|symbol| *symbol == name)?;
        Some(0xffff_ffff_8100_0000 + 8 * at as u64)
    };
    Shapes::resolve(&Sources {
        types: &build.types,
        info: Some(&info),
        hidden: None,
        hidden_symbols: None,
        big_endian: false,
        symbols: &symbols,
    })
}

/// `task_struct.__state`, `module.array mem`: the alternatives that a kernel has.
fn found(shapes: &Shapes) -> HashSet<String> {
    let mut all = HashSet::new();
    for shape in shapes.all() {
        for (alternative, _) in shape.parts.iter().filter_map(|part| part.found) {
            all.insert(format!("{}.{alternative}", shape.name));
        }
    }
    all
}

#[test]
fn each_kernel_has_its_own_alternatives() {
    for case in kernels() {
        let found = found(&resolve(case));
        for expected in case.expected {
            assert!(found.contains(*expected), "{}: {expected} in {found:?}", case.kernel);
        }
        for absent in case.absent {
            assert!(!found.contains(*absent), "{}: {absent}", case.kernel);
        }
    }
}

#[test]
fn every_alternative_is_in_the_table() {
    let resolved: Vec<Shapes> = kernels().map(resolve).collect();
    let mut seen: HashSet<(usize, usize, String)> = HashSet::new();
    for shapes in &resolved {
        for (index, shape) in shapes.all().iter().enumerate() {
            for (number, part) in shape.parts.iter().enumerate() {
                if let Some((alternative, _)) = part.found {
                    seen.insert((index, number, alternative.to_string()));
                }
            }
        }
    }
    let mut missing = Vec::new();
    for (index, shape) in resolved[0].all().iter().enumerate() {
        for (number, part) in shape.parts.iter().enumerate() {
            for alternative in part.alternatives.iter().filter(|_| part.alternatives.len() > 1) {
                if !seen.contains(&(index, number, alternative.to_string())) {
                    missing.push(format!("{}: {alternative}", shape.name));
                }
            }
        }
    }
    assert!(missing.is_empty(), "no kernel of the table has {missing:#?}");
}

#[test]
fn every_tag_is_in_the_table() {
    let resolved: Vec<Shapes> = kernels().map(resolve).collect();
    let mut missing = Vec::new();
    for structure in [
        |s: &Shapes| s.xarray.structure,
        |s: &Shapes| s.xa_node.structure,
        |s: &Shapes| s.slab.structure,
        |s: &Shapes| s.printk_log.structure,
        |s: &Shapes| s.seqcount.structure,
    ] {
        for tag in structure(&resolved[0]).tags {
            let has = |shapes| structure(shapes).exists() && structure(shapes).tag() == *tag;
            if !resolved.iter().any(has) {
                missing.push(*tag);
            }
        }
    }
    assert!(missing.is_empty(), "no kernel of the table has {missing:?}");
}

#[test]
fn every_member_of_one_name_resolves_where_its_structure_has_it() {
    // A kernel made of the declarations themselves: each shape in turn with the first alternative
    // of each member.
    let nothing = Build::new("");
    let sources = Sources {
        types: &nothing.types,
        info: None,
        hidden: None,
        hidden_symbols: None,
        big_endian: false,
        symbols: &|_| None,
    };
    for (index, shape) in Shapes::resolve(&sources).all().iter().enumerate() {
        if !matches!(shape.kind, ShapeKind::Structure(_)) {
            continue;
        }
        for (number, part) in shape.parts.iter().enumerate() {
            let first = part.alternatives[0];
            let build = Build::path(shape.name, first.name, first.form);
            let sources = Sources {
                types: &build.types,
                info: None,
                hidden: None,
                hidden_symbols: None,
                big_endian: false,
                symbols: &|_| None,
            };
            let found = Shapes::resolve(&sources).all()[index].parts[number].found;
            assert!(
                matches!(found, Some((is, Found::Member { .. })) if is == first),
                "{}.{first}: {found:?}",
                shape.name
            );
        }
    }
}

#[test]
fn vmcoreinfo_describes_the_log_where_there_are_no_types() {
    let info = VmCoreInfo::parse(
        b"SIZE(prb_desc)=24\nOFFSET(prb_desc.state_var)=0\nOFFSET(prb_desc.text_blk_lpos)=8\n\
          SIZE(log)=16\nOFFSET(log.dict_len)=12\nSYMBOL(prb)=ffffffff82000000\n",
    );
    let nothing = Build::new("");
    let symbols = |name: &str| (name == "log_buf").then_some(1);
    let sources = Sources {
        types: &nothing.types,
        info: Some(&info),
        hidden: None,
        hidden_symbols: None,
        big_endian: false,
        symbols: &symbols,
    };
    let shapes = Shapes::resolve(&sources);
    assert_eq!(shapes.prb_desc.sizeof(), Ok(24));
    assert_eq!(shapes.prb_desc.position.offset(), Ok(8));
    assert_eq!(shapes.printk_log.dict_len.offset(), Ok(12), "by its older tag");
    assert!(!shapes.prb_desc.structure.exists(), "no type");
    assert_eq!(shapes.log_variables.log.form(), Some(Form::Ring));
    assert_eq!(shapes.log_variables.log.address(), Ok(0xffff_ffff_8200_0000));
    let error = shapes.prb_desc_ring.descs.offset().unwrap_err();
    assert_eq!(error.to_string(), "no member prb_desc_ring.descs");
}
