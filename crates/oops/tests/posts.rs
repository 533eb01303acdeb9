//! Texts as people post them: short siblings of real ones, each with one thing that makes it hard.
//!
//! A case begins with `#### what is hard about it`, then `#= KEY VALUE` lines: fields of the JSON
//! of the first report, compared as they are; `trace` and `frames_of N` are functions that stand
//! there in this order; `says` and `silent on` are texts that the page has or has not; `count` is
//! the number of reports.

use necropsy_oops::{Options, render, reports};

const POSTS: &str = include_str!("cases/posts.txt");

struct Post {
    name: String,
    wants: Vec<(String, String)>,
    log: String,
}

fn posts() -> Vec<Post> {
    let mut posts: Vec<Post> = Vec::new();
    for line in POSTS.lines() {
        if let Some(name) = line.strip_prefix("#### ") {
            posts.push(Post { name: name.to_owned(), wants: Vec::new(), log: String::new() });
            continue;
        }
        let Some(post) = posts.last_mut() else { continue };
        match line.strip_prefix("#= ") {
            Some(want) => {
                let (key, value) = want.split_once(' ').unwrap_or((want, ""));
                post.wants.push((key.to_owned(), value.to_owned()));
            }
            None => {
                post.log.push_str(line);
                post.log.push('\n');
            }
        }
    }
    posts
}

/// A field by its path: `address.value`, `stall.cpus`.
fn field(report: &serde_json::Value, path: &str) -> String {
    let value = path.split('.').fold(report, |value, part| match part.parse::<usize>() {
        Ok(index) => &value[index],
        Err(_) => &value[part],
    });
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[test]
fn as_people_post_them() {
    let mut wrong = String::new();
    let all = posts();
    assert!(all.len() >= 20, "{} posts", all.len());
    for post in all {
        let found = reports(post.log.as_bytes(), &Options::default());
        let page = render::page(&found, render::Show::default());
        let first = found.first().map(|report| serde_json::to_value(report).unwrap());
        let first = first.unwrap_or_default();
        for (key, want) in &post.wants {
            let got = match key.as_str() {
                "count" => found.len().to_string(),
                "says" if page.contains(want) => continue,
                "never" if !page.contains(want) => continue,
                "says" | "never" => format!("{key} {want}, in\n{page}"),
                "taint" => {
                    let flags = first["taint"].as_array().cloned().unwrap_or_default();
                    flags.iter().map(|flag| flag["letter"].as_str().unwrap_or("")).collect()
                }
                "trace" => {
                    let frames = first["trace"].as_array().cloned().unwrap_or_default();
                    let names: Vec<String> = frames
                        .iter()
                        .map(|frame| frame["function"].as_str().unwrap_or("").to_owned())
                        .collect();
                    let mut rest = names.iter();
                    if want.split(' ').all(|name| rest.any(|other| other == name)) {
                        continue;
                    }
                    names.join(" ")
                }
                key if key.starts_with("register.") => {
                    let name = key.trim_start_matches("register.");
                    let registers = first["registers"].as_array().cloned().unwrap_or_default();
                    let found = registers.iter().find(|register| register["name"] == name);
                    found.map_or(String::new(), |register| field(register, "value"))
                }
                key => field(&first, key),
            };
            if got != *want {
                wrong.push_str(&format!("\n{}: {key} is {got}, not {want}", post.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
