// Cursors with which a loader reads a JsonDocument. Whatever is not as the loader asks for goes to
// the Diagnostics with its place, and the loader goes on with a fallback, so that one pass finds
// every error:
//
//     Fields fields = Node(*document, diagnostics).object({"name", "events"});
//     scenario.name = fields.required("name").string();
//     if (const auto events = fields.optional("events")) {
//         for (const Node& event : events->array()) ...
//     }
//     if (!diagnostics.empty()) ...
#pragma once

#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runner/diagnostic.hpp"
#include "runner/json/document.hpp"
#include "runner/json/text.hpp"
#include "sim/types.hpp"

namespace vtlsim::runner {

class Fields;

// One value of a document, or the lack of one where a required key is missing or an array was
// expected: then every getter gives its fallback and nothing is reported a second time.
// Refers to the document and the diagnostics, which must outlive it; cheap to copy.
class Node {
  public:
    // The root value.
    Node(const JsonDocument& document, Diagnostics& diagnostics)
        : document_(&document), diagnostics_(&diagnostics) {}

    bool is_missing() const { return missing_; }
    bool is_null() const { return is(JsonValue::Kind::kNull); }
    bool is_string() const { return is(JsonValue::Kind::kString); }
    bool is_array() const { return is(JsonValue::Kind::kArray); }
    bool is_object() const { return is(JsonValue::Kind::kObject); }

    // Of the value, and of its key where it is the member of an object. The JSON pointer.
    Position position() const { return value().position; }
    Position key_position() const { return value().key_position; }
    std::string path() const { return document_->pointer(index_); }
    // Empty for what is not the member of an object.
    const std::string& key() const { return document_->string(value().key); }

    // The getters. The fallback is the empty value unless another is named.

    const std::string& string() const;
    bool boolean(bool fallback = false) const;

    // A JSON number, or a string: "4096", "0x1000", "0xffff_f000" or "0b1010"; lower-case prefixes,
    // a `_` only between two hexadecimal digits. Falls back to min.
    template <std::unsigned_integral T = u64>
    T integer(T min = 0, T max = std::numeric_limits<T>::max()) const {
        return static_cast<T>(integer_in(min, max));
    }

    // A string of "0x" and exactly `digits` hexadecimal digits (32 at most); `_` may stand between
    // two of them.
    Vec128 hex(u32 digits = 32) const;

    // A string of two hexadecimal digits a byte, in order of address, with any number of blanks
    // before, between and after bytes.
    std::vector<u8> bytes() const;

    // A string that is one of `names`: its index there, or 0. `what` names the choice in messages,
    // as in: unknown value "shadw" for switch gpr_model.
    std::size_t one_of(std::string_view what, std::span<const std::string_view> names) const;

    // A string, or an array of strings that are lines.
    JsonText text() const;

    std::vector<Node> array() const;

    // An object whose keys are the document's to choose; key() tells each.
    std::vector<Node> members() const;

    // An object with keys out of `known`; each other key is an error.
    Fields object(std::initializer_list<std::string_view> known) const;
    Fields object(std::span<const std::string_view> known) const;

    // Where byte `offset` of the decoded string() was written. For the places of several errors in
    // a long text use text().
    Position position_in_string(std::size_t offset) const;

    // Reports an error at the value, its key, or a place of the loader's choice, with the value's
    // path. Says nothing for a missing node: its lack has been reported.
    void error(std::string message) const { error_at(position(), std::move(message)); }
    void error_at_key(std::string message) const { error_at(key_position(), std::move(message)); }
    void error_at(Position position, std::string message) const;
    // Where errors go. Its count() tells whether a getter has reported one, so that nothing more is
    // to be said; once it is full(), looking for the right words is not worth the time.
    const Diagnostics& diagnostics() const { return *diagnostics_; }

  private:
    friend class Fields;
    Node(const Node& base, u32 index, bool missing)
        : document_(base.document_),
          diagnostics_(base.diagnostics_),
          index_(index),
          missing_(missing) {}

    const JsonValue& value() const { return document_->values()[index_]; }
    bool is(JsonValue::Kind kind) const { return !missing_ && value().kind == kind; }
    bool expect(JsonValue::Kind kind) const;
    std::vector<Node> children() const;
    StringWalk walk() const;
    u64 integer_in(u64 min, u64 max) const;

    const JsonDocument* document_;
    Diagnostics* diagnostics_;
    u32 index_ = 0;  // of a missing value: the value it was looked for in
    bool missing_ = false;
};

// The members of an object with known keys.
class Fields {
  public:
    // A missing key is an error at the object, unless an unknown key of the object was already
    // reported as a misspelling of it.
    Node required(std::string_view key) const;
    std::optional<Node> optional(std::string_view key) const;

    // These members, and of `base` those with other keys.
    Fields over(const Fields& base) const;

    // The object itself, for errors that concern more than one member.
    const Node& node() const { return node_; }

  private:
    friend class Node;
    Fields(const Node& node, std::span<const std::string_view> known);

    Node node_;
    std::vector<Node> members_;
    std::vector<std::string> misspelled_;
};

// `; did you mean "x"?` for the candidate nearest to `wanted`, or nothing where none is near. To be
// put behind a message on an unknown name.
std::string did_you_mean(std::string_view wanted, std::span<const std::string_view> candidates);

}  // namespace vtlsim::runner
