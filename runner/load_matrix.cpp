#include "runner/load_matrix.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "model/world.hpp"
#include "runner/limits.hpp"
#include "runner/load_expect.hpp"
#include "runner/read_switch.hpp"

namespace vtlsim::runner {
namespace {

constexpr std::string_view kRuns[] = {"violation", "default"};  // as Predicate::Of

std::string optional_text(const Fields& f, std::string_view key) {
    const auto node = f.optional(key);
    return node ? node->string() : std::string();
}

// Names of one list, which differ and stand in tables.
class Names {
  public:
    std::string read(const Node& node) {
        const std::string name = node.string();
        if (name.empty() && node.is_string()) node.error("a name is needed");
        if (name.size() > kMaxName) {
            node.error(fmt::format("a name has at most {} characters", kMaxName));
        }
        if (std::find(known_.begin(), known_.end(), name) != known_.end()) {
            node.error(fmt::format("the name {} is given twice", in_quotes(name)));
        }
        known_.push_back(name);
        return name;
    }
    std::size_t find(const Node& node, std::string_view what) const {
        const std::vector<std::string_view> views(known_.begin(), known_.end());
        return node.one_of(what, views);
    }
    // The name that is this member's key.
    std::optional<std::size_t> find_key(const Node& member, std::string_view what) const {
        const auto found = std::find(known_.begin(), known_.end(), member.key());
        if (found != known_.end()) return static_cast<std::size_t>(found - known_.begin());
        member.error_at_key(fmt::format("unknown {} {}", what, in_quotes(member.key())));
        return std::nullopt;
    }
    std::size_t size() const { return known_.size(); }

  private:
    std::vector<std::string> known_;
};

NamedSwitches read_switches(const Node& node) {
    NamedSwitches out;
    for (const Node& member : node.members()) {
        if (const model::SwitchRow* row = read_switch_name(member, model::switch_rows())) {
            out.values.emplace_back(row, read_switch_value(member, *row));
        }
    }
    return out;
}

std::vector<NamedSwitches> read_settings(const Node& list, Names& names) {
    std::vector<NamedSwitches> out;
    for (const Node& entry : list.array()) {
        const Fields f = entry.object({"name", "why", "switches"});
        const auto switches = f.optional("switches");
        NamedSwitches setting = switches ? read_switches(*switches) : NamedSwitches{};
        setting.name = names.read(f.required("name"));
        setting.why = optional_text(f, "why");
        out.push_back(std::move(setting));
    }
    if (list.is_array() && out.empty()) list.error("at least one is needed");
    return out;
}

Relation read_relation(const Node& node) {
    const Fields f = node.object({"value", "is", "plus", "bits"});
    Relation out;
    const auto path = [](const Node& n) {
        if (n.is_string()) check_path(n, n.string());
        return n.string();
    };
    out.left = path(f.required("value"));
    out.right = path(f.required("is"));
    if (const auto plus = f.optional("plus")) out.plus = plus->integer();
    if (const auto bits = f.optional("bits")) out.bits = bits->integer<u8>(1, 64);
    return out;
}

Predicate read_predicate(const Node& node, Names& names, const Labels& labels) {
    const Fields f = node.object({"name", "why", "run", "expect", "relations", "not_with"});
    Predicate out;
    out.name = names.read(f.required("name"));
    out.why = optional_text(f, "why");
    const auto run = f.optional("run");
    const auto expect = f.optional("expect");
    const auto relations = f.optional("relations");
    if (const auto elsewhere = f.optional("not_with")) {
        for (const auto& other : {run, expect, relations}) {
            if (other) other->error_at_key("\"not_with\" stands alone");
        }
        out.of = Predicate::Of::elsewhere;
        out.elsewhere = read_switches(*elsewhere);
        return out;
    }
    if (run) out.of = static_cast<Predicate::Of>(run->one_of("a run", kRuns));
    if (expect) out.expect = read_expectations(*expect, labels);
    if (out.expect.unlisted_unchanged) expect->error("\"unlisted\" cannot stand here");
    for (const Node& entry : relations ? relations->array() : std::vector<Node>()) {
        out.relations.push_back(read_relation(entry));
    }
    if (!expect && out.relations.empty()) {
        node.error("what is to hold? \"expect\", \"relations\" or \"not_with\" is needed");
    }
    return out;
}

std::vector<Predicate> read_predicates(const Fields& f, std::string_view key,
                                       const Labels& labels) {
    std::vector<Predicate> out;
    Names names;
    const auto list = f.optional(key);
    for (const Node& entry : list ? list->array() : std::vector<Node>()) {
        out.push_back(read_predicate(entry, names, labels));
    }
    return out;
}

// Some of a list by name; all of them where nothing is said.
std::vector<std::size_t> read_choice(const Fields& f, std::string_view key, const Names& names,
                                     std::string_view what) {
    std::vector<std::size_t> out;
    if (const auto list = f.optional(key)) {
        for (const Node& entry : list->array()) out.push_back(names.find(entry, what));
    } else {
        for (std::size_t i = 0; i < names.size(); ++i) out.push_back(i);
    }
    return out;
}

// What a cell of the table can say.
void check_cell_word(const Node& node, const std::vector<Predicate>& evidence) {
    const std::string word = node.string();
    if (!node.is_string() || word == "nothing" || word == "other") return;
    if (word == "observed: no evidence") return;
    std::string_view rest = word;
    bool good = rest.starts_with("observed: ");
    if (good) rest.remove_prefix(9);
    std::size_t at = 0;  // names come in the order of the list
    while (good && !rest.empty()) {
        rest.remove_prefix(1);
        const std::string_view name = rest.substr(0, rest.find(' '));
        while (at < evidence.size() && evidence[at].name != name) ++at;
        good = at < evidence.size();
        rest.remove_prefix(name.size());
    }
    if (!good) {
        node.error(fmt::format(
            "{} is nothing that a cell says: \"nothing\", \"other\", \"observed: no evidence\", "
            "or \"observed:\" and the evidence that fits, in its order",
            in_quotes(word)));
    }
}

void read_expected_cells(const Node& node, const Matrix& matrix, const Names& theories,
                         const Names& fixes, MatrixGuest& guest) {
    const auto contains = [](const std::vector<std::size_t>& all, std::size_t one) {
        return std::find(all.begin(), all.end(), one) != all.end();
    };
    for (const Node& row : node.members()) {
        const auto theory = theories.find_key(row, "theory");
        if (!theory) continue;
        for (const Node& cell : row.members()) {
            const auto fix = fixes.find_key(cell, "fix");
            if (!fix) continue;
            check_cell_word(cell, matrix.evidence);
            if (!contains(guest.theories, *theory) || !contains(guest.fixes, *fix)) {
                cell.error_at_key("this guest's table has no such cell");
            }
            guest.expect[{*theory, *fix}] = cell.string();
        }
    }
}

// Every cell, and every place where evidence is looked for, is a world that can be.
void check_cells(const Node& node, const Matrix& matrix, const MatrixGuest& guest) {
    const auto check = [&](std::size_t theory, std::size_t fix, const NamedSwitches* over) {
        model::WorldConfig config = guest.world;
        config.switches = matrix.switches(guest, theory, fix, over);
        config.invariants = {matrix.observed};
        const auto problems = model::check_config(config);
        if (problems.empty()) return;
        node.error(fmt::format("theory {}, fix {}{}: {}", matrix.theories[theory].name,
                               matrix.fixes[fix].name, over != nullptr ? ", not_with" : "",
                               problems.front()));
    };
    for (std::size_t theory : guest.theories) {
        for (std::size_t fix : guest.fixes) {
            check(theory, fix, nullptr);
            for (const Predicate& p : matrix.evidence) {
                if (p.of == Predicate::Of::elsewhere) check(theory, fix, &p.elsewhere);
            }
        }
    }
}

}  // namespace

model::Switches Matrix::switches(const MatrixGuest& guest, std::size_t theory, std::size_t fix,
                                 const NamedSwitches* over) const {
    model::Switches out = guest.world.switches;
    theories[theory].apply(out);
    fixes[fix].apply(out);
    if (over != nullptr) over->apply(out);
    return out;
}

Matrix read_matrix(const Node& node, const Fields& root, const WorldReader& base) {
    const Fields f =
        node.object({"observed", "theories", "fixes", "evidence", "guests", "preemptions"});
    Matrix out;
    std::vector<std::string_view> invariants;
    for (const model::InvariantRow& row : model::invariant_rows()) invariants.push_back(row.name);
    out.observed =
        model::invariant_rows()[f.required("observed").one_of("an invariant", invariants)].id;
    Names theories;
    Names fixes;
    out.theories = read_settings(f.required("theories"), theories);
    out.fixes = read_settings(f.required("fixes"), fixes);
    out.evidence = read_predicates(f, "evidence", base.labels());
    if (const auto bound = f.optional("preemptions")) out.preemptions = bound->integer<u32>();

    const auto read_guest = [&](const Fields& own, const WorldReader& world) {
        return MatrixGuest{.name = {},
                           .why = optional_text(own, "why"),
                           .world = world.config(),
                           .event_notes = world.event_notes(),
                           .theories = read_choice(own, "theories", theories, "a theory"),
                           .fixes = read_choice(own, "fixes", fixes, "a fix"),
                           .facts = read_predicates(own, "facts", world.labels()),
                           .expect = {}};
    };
    std::size_t cells = 0;
    Names names;
    for (const Node& entry : f.required("guests").array()) {
        const Fields own =
            entry.object({"name", "why", "theories", "fixes", "facts", "expect", "guest", "devices",
                          "cpuid", "msrs", "hypercalls", "events"});
        const std::string name = names.read(own.required("name"));
        const std::size_t errors = entry.diagnostics().count();
        const WorldReader world(own.over(root));
        if (entry.diagnostics().count() != errors) break;
        out.guests.push_back(read_guest(own, world));
        out.guests.back().name = name;
        if (const auto expect = own.optional("expect")) {
            read_expected_cells(*expect, out, theories, fixes, out.guests.back());
        }
        if (entry.diagnostics().count() == errors) check_cells(entry, out, out.guests.back());
        cells += out.guests.back().theories.size() * out.guests.back().fixes.size();
    }
    if (cells > kMaxVariants) {
        node.error(fmt::format("{} cells are more than {}", cells, kMaxVariants));
    }
    return out;
}

}  // namespace vtlsim::runner
