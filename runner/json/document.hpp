// A JSON text with comments, parsed, and the place of every value and key in it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runner/diagnostic.hpp"
#include "sim/types.hpp"

namespace vtlsim::runner {

struct JsonLimits {
    std::size_t max_bytes = std::size_t{16} << 20;  // of the file; 4 GiB - 1 at most
    std::size_t max_depth = 64;                     // of arrays and objects in each other
    std::size_t max_values = 1'000'000;             // keys included
};

// One value. Values lie in document order, so that the children of values[i] are the values from
// i + 1 up to end, each child's own end leading to the next child.
struct JsonValue {
    enum class Kind : u8 {
        kNull,
        kBoolean,
        kUnsigned,   // a number: an integer from 0 to 2^64 - 1
        kOther,      // any other number
        kMalformed,  // a number too large to represent: already reported
        kString,
        kArray,
        kObject,
    };
    Kind kind = Kind::kNull;
    u32 offset = 0;  // in bytes, into the document's text
    Position position;
    Position key_position;  // of the member's key; the value's own position for other values
    u32 parent = 0;         // of the root: itself
    u32 ordinal = 0;        // 0 for the first child of its parent
    u32 end = 0;
    u32 key = 0;     // into strings; 0 (the empty string) for what is not a member
    u32 text = 0;    // into strings: of a string the decoded text, of kOther the number as written
    u64 number = 0;  // of kUnsigned the value; of kBoolean 0 or 1
    // Of a merged document: in which of its parts the value stands, and as which value there.
    u32 part = 0;
    u32 origin = 0;
};

class JsonDocument {
  public:
    // Both report what is wrong to `diagnostics`: unreadable, empty, larger than a limit, not
    // UTF-8, not JSON, duplicate keys, numbers out of range. Null if there is no tree to go on
    // with; with duplicate keys (the first counts) and integers out of range there is one, so that
    // a loader can report its own findings too: success is a document and diagnostics.empty(). Time
    // and memory are bounded by the limits.
    static std::unique_ptr<const JsonDocument> load(const std::string& path,
                                                    Diagnostics& diagnostics,
                                                    const JsonLimits& limits = {});
    // `file` is the name used in diagnostics.
    static std::unique_ptr<const JsonDocument> parse(std::string text, const std::string& file,
                                                     Diagnostics& diagnostics,
                                                     const JsonLimits& limits = {});

    // One document out of several: members of objects come together, arrays one behind the other;
    // of other values the last one holds. The parts' errors have been reported. Keys of the parts'
    // roots that are in `dropped` are left out, but for the last part. Null if it would have more
    // values than the limit.
    static std::unique_ptr<const JsonDocument> merge(
        std::vector<std::shared_ptr<const JsonDocument>> parts,
        const std::vector<std::string_view>& dropped, const JsonLimits& limits = {});

    // The document in which a value stands: this one, or a part of it.
    const JsonDocument& home_of(u32 value) const {
        return parts_.empty() ? *this : *parts_[values_[value].part];
    }

    const std::string& file() const { return file_; }
    const std::string& text() const { return text_; }
    // Never empty; the root comes first.
    const std::vector<JsonValue>& values() const { return values_; }
    const std::string& string(u32 index) const { return strings_[index]; }

    // The JSON pointer of a value. Escaped as in RFC 6901; control characters as \u00xx, and very
    // long keys cut, since it is for messages.
    std::string pointer(u32 value) const;

  private:
    friend class JsonTreeBuilder;
    friend class JsonMerger;
    JsonDocument(std::string text, std::string file)
        : file_(std::move(file)), text_(std::move(text)) {}

    std::string file_;
    std::string text_;
    std::vector<JsonValue> values_;
    std::vector<std::string> strings_ = {""};
    std::vector<std::shared_ptr<const JsonDocument>> parts_;  // empty unless merged
};

}  // namespace vtlsim::runner
