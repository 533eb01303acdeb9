//! The editor of lines, on a terminal.

use std::{borrow::Cow, io, path::PathBuf};

use reedline::{
    ColumnarMenu, EditCommand, EditMode as Keys, Emacs, FileBackedHistory, KeyCode, KeyModifiers,
    Keybindings, MenuBuilder, Prompt, PromptEditMode, PromptHistorySearch,
    PromptHistorySearchStatus, PromptViMode, Reedline, ReedlineEvent, ReedlineMenu, Signal, Vi,
    default_emacs_keybindings, default_vi_insert_keybindings, default_vi_normal_keybindings,
    default_vi_visual_keybindings,
};

use super::{completer::Completer, run_recalled};
use crate::{session::Session, settings::EditMode};

/// Lines kept in the history file.
const HISTORY_LINES: usize = 5000;

/// Lines from the terminal, until the user quits.
pub(super) fn edit_lines(session: &mut Session) -> io::Result<()> {
    // While a line is edited the terminal hands Ctrl-C to the editor; while a command runs it
    // arrives as a signal, and sets the flag that the command looks at.
    signal_hook::flag::register(signal_hook::consts::SIGINT, session.interrupted.clone())?;
    let mut keys = session.settings.edit;
    let completer = Completer::new(session.names.clone());
    let mut editor = line_editor(Box::new(completer), keys, "history");
    while !session.quit {
        if keys != session.settings.edit {
            keys = session.settings.edit;
            editor = editor.with_edit_mode(edit_mode(keys));
        }
        match editor.read_line(&NecropsyPrompt).map_err(io::Error::other)? {
            Signal::Success(line) => run_recalled(session, line.trim()),
            Signal::CtrlD => break,
            // Ctrl-C while editing: a fresh line.
            _ => {}
        }
    }
    Ok(())
}

/// An editor of lines: Tab completes, and the history is kept in the file of that name.
pub(crate) fn line_editor(
    completer: Box<dyn reedline::Completer + Send>,
    keys: EditMode,
    history: &str,
) -> Reedline {
    let menu = ColumnarMenu::default().with_name(MENU).with_columns(4);
    let editor = Reedline::create()
        .with_completer(completer)
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
        .with_quick_completions(true)
        .with_partial_completions(true)
        .with_ansi_colors(
            anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never,
        )
        .with_edit_mode(edit_mode(keys));
    // A history that cannot be kept in its file is kept in memory.
    let file = history_file(history);
    match file.and_then(|file| FileBackedHistory::with_file(HISTORY_LINES, file).ok()) {
        Some(history) => editor.with_history(Box::new(history)),
        None => editor,
    }
}

fn history_file(name: &str) -> Option<PathBuf> {
    let absolute = |path: &PathBuf| path.is_absolute();
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(absolute);
    let home = || Some(std::env::home_dir().filter(absolute)?.join(".local/state"));
    Some(state.or_else(home)?.join("necropsy").join(name))
}

const MENU: &str = "completion";

fn edit_mode(keys: EditMode) -> Box<dyn Keys> {
    let with_tab = |mut bindings: Keybindings| {
        bindings.add_binding(
            KeyModifiers::NONE,
            KeyCode::Tab,
            ReedlineEvent::UntilFound(vec![
                ReedlineEvent::Menu(MENU.to_owned()),
                ReedlineEvent::MenuNext,
            ]),
        );
        bindings.add_binding(KeyModifiers::SHIFT, KeyCode::BackTab, ReedlineEvent::MenuPrevious);
        // As in every shell, in vi's insert mode too: the line goes, and an open menu with it.
        bindings.add_binding(
            KeyModifiers::CONTROL,
            KeyCode::Char('u'),
            ReedlineEvent::Multiple(vec![
                ReedlineEvent::Esc,
                ReedlineEvent::Edit(vec![EditCommand::CutFromLineStart]),
            ]),
        );
        bindings
    };
    match keys {
        EditMode::Emacs => Box::new(Emacs::new(with_tab(default_emacs_keybindings()))),
        EditMode::Vi => Box::new(Vi::new(
            with_tab(default_vi_insert_keybindings()),
            default_vi_normal_keybindings(),
            default_vi_visual_keybindings(),
        )),
    }
}

/// `necropsy>`
struct NecropsyPrompt;

impl Prompt for NecropsyPrompt {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        "necropsy".into()
    }
    fn render_prompt_right(&self) -> Cow<'_, str> {
        "".into()
    }
    fn render_prompt_indicator(&self, mode: PromptEditMode) -> Cow<'_, str> {
        match mode {
            PromptEditMode::Vi(PromptViMode::Normal) => ": ".into(),
            _ => "> ".into(),
        }
    }
    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        "... ".into()
    }
    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        let failing = match search.status {
            PromptHistorySearchStatus::Passing => "",
            PromptHistorySearchStatus::Failing => "no ",
        };
        format!("({failing}match: {}) ", search.term).into()
    }
}
