// search() for Mode::random and Mode::pct; see search.hpp.
#pragma once

#include "runner/explore/search.hpp"

namespace vtlsim::runner::explore {

SearchResult search_walks(const SubjectFactory& factory, const SearchOptions& options);

}  // namespace vtlsim::runner::explore
