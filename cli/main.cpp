// The verbs of vtlsim. Exit status: 0 all as expected, 1 something is not, 2 bad usage or input,
// 3 a limit was hit before a verdict.
#include <algorithm>
#include <charconv>
#include <iostream>
#include <new>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "runner/json/reader.hpp"
#include "vtlsim_version.hpp"

namespace {

// What is wrong with the verb; empty if nothing is. CLI11 takes an unknown verb for a missing one.
std::string verb_problem(const CLI::App& app, int argc, char** argv) {
    const std::string_view word = argc > 1 ? argv[1] : "";
    std::vector<std::string_view> names;
    for (const CLI::App* verb : app.get_subcommands({})) names.push_back(verb->get_name());
    if (word.empty()) return fmt::format("no verb given ({})", fmt::join(names, ", "));
    if (word[0] == '-' || std::find(names.begin(), names.end(), word) != names.end()) return {};
    const std::string meant = vtlsim::runner::did_you_mean(word, names);
    return fmt::format("unknown verb {}{}", vtlsim::runner::in_quotes(word),
                       meant.empty() ? fmt::format(" ({})", fmt::join(names, ", ")) : meant);
}

void add_explore_options(CLI::App& verb, vtlsim::cli::ExploreOptions& options) {
    auto& search = options.search;
    verb.add_option("file", options.file, "Scenario file")->required();
    verb.add_option("--variant", options.variant, "Which variant: switch=value,...");
    verb.add_option("--format", options.format, "text or json")
        ->check(CLI::IsMember({"text", "json"}));
    verb.add_option("-o,--output", options.output, "Write to this file instead of standard output");
    verb.add_option("--mode", options.mode, "exhaustive, random or pct")
        ->check(CLI::IsMember({"exhaustive", "random", "pct"}));
    verb.add_flag("--all", search.all, "List all distinct violations, not the smallest alone");
    verb.add_option("--preemptions", search.preemptions, "Preemptions of a schedule, at most");
    verb.add_option("--depth", search.depth, "Turns of a schedule, at most");
    verb.add_option("--states", search.states, "Stop after so many states");
    verb.add_option("--memory", search.memory, "Stop at so many bytes kept, about");
    verb.add_option("--time", search.seconds, "Stop after so many seconds")
        ->check(CLI::NonNegativeNumber);
    verb.add_option("--jobs", search.jobs, "Threads; the result does not depend on it")
        ->check(CLI::Range(1, 256));
    verb.add_flag("--no-reduction", options.no_reduction,
                  "Follow every actor at every turn, even where one is enough");
    verb.add_option("--seed", search.seed, "Of random and pct: chooses the walks");
    verb.add_option("--runs", search.runs, "Of random and pct: how many walks");
    verb.add_option("--pct-depth", search.pct_depth, "Of pct: how many orderings a bug needs")
        ->check(CLI::Range(1, 100));
    verb.add_flag("--matrix", options.matrix,
                  "Fill the table of the scenario's matrix: theory x fix x evidence");
    verb.add_flag("--progress", options.progress, "Report progress even if not to a terminal");
}

void add_include(CLI::App& verb, vtlsim::runner::LoadOptions& load) {
    verb.add_option("--include", load.include_paths,
                    "Folders to look for included files in, behind the scenario's own");
}

// Takes 4096 and 0x1000.
CLI::Option* add_number(CLI::App& verb, const char* name, vtlsim::u64& value, const char* what) {
    return verb.add_option_function<std::string>(
        name,
        [&value, name](const std::string& text) {
            const bool hex = text.starts_with("0x");
            const char* end = text.data() + text.size();
            const auto [stop, error] =
                std::from_chars(text.data() + (hex ? 2 : 0), end, value, hex ? 16 : 10);
            if (error != std::errc() || stop != end) {
                throw CLI::ValidationError(name, "a number is written as 4096 or 0x1000");
            }
        },
        what);
}

void add_author_verbs(CLI::App& app, int& status) {
    using namespace vtlsim::cli;
    static CheckOptions check;
    CLI::App* verb =
        app.add_subcommand("check", "Say what is wrong with scenario files, without running them");
    verb->add_option("paths", check.paths, "Scenario files, or folders of them");
    verb->add_option("--format", check.format, "text, or sarif for code hosts")
        ->check(CLI::IsMember({"text", "sarif"}));
    add_include(*verb, check.load);
    verb->callback([&] { status = check_verb(check); });

    static FormatOptions format;
    verb = app.add_subcommand("fmt", "Give scenario files the layout that all have");
    verb->add_option("paths", format.paths, "Scenario files, or folders of them");
    verb->add_flag("--check", format.check, "Show what would change, and change nothing");
    verb->callback([&] { status = format_verb(format); });

    static NewOptions fresh;
    verb = app.add_subcommand("new", "Write a scenario to start from");
    verb->add_option("template", fresh.name, "Which, see --list");
    verb->add_option("file", fresh.file, "Where to");
    verb->add_flag("--list", fresh.list, "Print what there is");
    verb->callback([&] { status = new_verb(fresh); });

    static AsmOptions assemble;
    verb = app.add_subcommand("asm", "Assemble a text as scenarios have it");
    verb->add_option("file", assemble.file, "Assembly; - is standard input")->required();
    verb->add_option("--bits", assemble.bits, "16, 32 or 64")->check(CLI::IsMember({16, 32, 64}));
    add_number(*verb, "--origin", assemble.origin, "Address of the first byte (default 0x1000)");
    verb->add_option("--format", assemble.format, "hex, listing or binary")
        ->check(CLI::IsMember({"hex", "listing", "binary"}));
    verb->add_option("-o,--output", assemble.output,
                     "Write to this file instead of standard output");
    verb->callback([&] { status = asm_verb(assemble); });

    static DisasmOptions disassemble;
    verb = app.add_subcommand("disasm", "Print the instructions in bytes");
    verb->add_option("bytes", disassemble.bytes, "Hexadecimal digits: 90 f4");
    verb->add_option("--file", disassemble.file, "Take them from this file; - is standard input");
    verb->add_flag("--binary", disassemble.binary, "The file has the bytes themselves");
    verb->add_option("--bits", disassemble.bits, "16, 32 or 64")
        ->check(CLI::IsMember({16, 32, 64}));
    add_number(*verb, "--origin", disassemble.origin, "Address of the first byte (default 0x1000)");
    verb->add_option("-o,--output", disassemble.output,
                     "Write to this file instead of standard output");
    verb->callback([&] { status = disasm_verb(disassemble); });
}

void add_run_options(CLI::App& verb, vtlsim::cli::RunOptions& run) {
    verb.add_option("paths", run.paths, "Scenario files, or folders of them");
    verb.add_option("--format", run.format, "text, json, junit or tap")
        ->check(CLI::IsMember({"text", "json", "junit", "tap"}));
    verb.add_option("-o,--output", run.output, "Write to this file instead of standard output");
    verb.add_flag("-v,--verbose", run.verbose, "In text: passes too, and the tables of variants");
    verb.add_option("--filter", run.selection.filters,
                    "Only those whose name, name[variant] or file has this text; with * and ?: is "
                    "like this. Several: one has to match");
    verb.add_option("--tag", run.selection.tags, "Only scenarios with this tag, or one of several");
    verb.add_option("--variant", run.selection.variant, "Only this variant: switch=value,...");
    verb.add_option("--shard", run.shard, "i/n: only the i-th of n parts, from 1");
    verb.add_flag("--list", run.list, "Print which would run, and run nothing");
    verb.add_option("--jobs", run.suite.jobs,
                    "Threads (default: as many as CPUs); the results do not depend on it")
        ->check(CLI::Range(1, 256));
    verb.add_option("--repeat", run.suite.repeat, "Run each so often; all have to be alike")
        ->check(CLI::Range(1, 1'000'000));
    verb.add_flag("--fail-fast", run.suite.fail_fast, "Stop at the first failure");
    verb.add_flag("--failed-first", run.failed_first,
                  "Those first that failed when this was last given");
    verb.add_option("--state-file", run.state_file, "Where --failed-first keeps them");
    verb.add_option("--max-steps", run.max_steps, "Steps of a run, at most, whatever it asks for");
    verb.add_option("--max-memory", run.max_memory,
                    "Bytes that a run touches, at most, whatever it asks for");
    verb.add_flag("--verify-determinism", run.suite.verify_determinism,
                  "Run each twice more, in other orders and on other numbers of threads");
    verb.add_flag("--bless", run.bless, "Write the golden traces, and delete those of nobody");
    verb.add_option("--schedule", run.schedule,
                    "Run one scenario in the order of this file, as explore prints it");
}

int run(int argc, char** argv) {
    using namespace vtlsim::cli;
    CLI::App app{"vtlsim: a deterministic x86 and hypervisor simulator for intercept semantics"};
    app.set_version_flag("--version", fmt::format("vtlsim {}", vtlsim::kVersion));
    app.require_subcommand(1);
    int status = 0;

    RunOptions run;
    CLI::App* verb = app.add_subcommand("run", "Run scenarios and check what they expect");
    add_run_options(*verb, run);
    add_include(*verb, run.load);
    verb->callback([&] { status = run_verb(run); });

    ExploreOptions explore;
    verb = app.add_subcommand("explore", "Search all schedules of a scenario for violations");
    add_explore_options(*verb, explore);
    add_include(*verb, explore.load);
    verb->callback([&] { status = explore_verb(explore); });

    add_author_verbs(app, status);

    TraceOptions trace;
    verb = app.add_subcommand("trace", "Run one scenario and show what happened, step by step");
    verb->add_option("files", trace.files, "Scenario file; two for html: beside each other")
        ->required();
    verb->add_option("--variant", trace.variants, "Which variant: switch=value,...")
        ->allow_extra_args(false)
        ->take_all();
    verb->add_option("--schedule", trace.schedules,
                     "Run in the order of this file, as explore prints it; -: the scenario's own")
        ->allow_extra_args(false)
        ->take_all();
    verb->add_option("--format", trace.format, "text, html, json, lanes, mermaid, perfetto or svg")
        ->check(CLI::IsMember({"text", "html", "json", "lanes", "mermaid", "perfetto", "svg"}));
    verb->add_option("--hide", trace.hide, "Kinds of events to leave out: insn,store,...")
        ->delimiter(',');
    verb->add_option("-o,--output", trace.output, "Write to this file instead of standard output");
    add_include(*verb, trace.load);
    verb->callback([&] { status = trace_verb(trace); });

    StepOptions step;
    verb = app.add_subcommand("step", "Walk through one run in the terminal, forwards and back");
    verb->add_option("file", step.file, "Scenario file")->required();
    verb->add_option("--variant", step.variant, "Which variant: switch=value,...");
    verb->add_option("--schedule", step.schedule,
                     "Run in the order of this file, as explore prints it");
    verb->add_option("--script", step.script, "Commands from this file, one a line; -: from input");
    verb->callback([&] { status = step_verb(step); });

    LearnOptions learn;
    verb = app.add_subcommand("learn", "List the lessons, or print one");
    verb->add_option("lesson", learn.lesson, "Its number or name");
    verb->callback([&] { status = learn_verb(learn); });

    ListOptions list;
    verb = app.add_subcommand("list", "Print what scenarios can name");
    verb->add_option("what", list.what,
                     "switches, kvm-switches, invariants, events, registers or instructions")
        ->required()
        ->check(CLI::IsMember(
            {"switches", "kvm-switches", "invariants", "events", "registers", "instructions"}));
    verb->callback([&] { status = list_verb(list); });

    verb = app.add_subcommand("schema", "Print the JSON Schema of scenario files");
    verb->callback([&] { status = schema_verb(); });

    verb = app.add_subcommand("exec",
                              "Answer each line of JSON on standard input: run a bare machine");
    verb->callback([&] { status = exec_verb(); });

    vtlsim::runner::ConformOptions conform;
    verb = app.add_subcommand("conform", "Compare the simulator with other x86 processors");
    verb->require_subcommand(1);
    verb = verb->add_subcommand("host", "Compare it with the processor that runs this program");
    verb->add_option("--seed", conform.seed, "Chooses the random cases");
    verb->add_option("--count", conform.count, "How many cases");
    verb->add_option("--only", conform.only, "These instructions only: add,imul,...")
        ->delimiter(',');
    verb->add_flag("--shrink", conform.shrink, "Look for the smallest case of each mismatch");
    verb->add_option("--jobs", conform.jobs, "Processes beside each other; the result is the same")
        ->check(CLI::Range(1u, vtlsim::runner::kMaxJobs));
    verb->callback([&] { status = conform_verb(conform); });

    vtlsim::runner::ConformKvmOptions kvm;
    verb = verb->get_parent()->add_subcommand(
        "kvm", "Compare the model of KVM with the /dev/kvm of this machine");
    verb->add_option("paths", kvm.paths, "KVM scenarios, or folders of them");
    verb->add_flag("--table", kvm.table, "Print who moves RIP when: this KVM and the models");
    verb->add_option("--record", kvm.record, "Write what the real KVM did to this file");
    verb->add_option("--recording", kvm.recording,
                     "Compare with what such a file says instead of /dev/kvm");
    verb->add_option("--random", kvm.random, "So many random guests and userspaces");
    verb->add_option("--seed", kvm.seed, "Chooses them");
    verb->add_option("--first", kvm.first, "Number of the first of them; 0 if not given");
    verb->add_flag("--fresh", kvm.fresh, "A virtual machine of its own for each of them");
    verb->add_flag("!--no-shrink", kvm.shrink, "Do not look for the smallest cases that differ");
    verb->callback([&] { status = conform_kvm_verb(kvm); });

    const std::string problem = verb_problem(app, argc, argv);
    if (!problem.empty()) return usage_error(problem);
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& e) {  // --help, --version
        app.exit(e, std::cout, std::cerr);
        return std::cout.flush() ? 0 : 2;
    } catch (const CLI::ParseError& e) {
        return usage_error(e.what());
    }
    return status;
}

}  // namespace

int main(int argc, char** argv) {
    vtlsim::cli::ignore_closed_pipes();
    try {
        return run(argc, argv);
    } catch (const std::bad_alloc&) {
        vtlsim::cli::write_error("vtlsim: out of memory\n");
        return 3;
    }
}
