# cmake -D FOLDER=... -D OUTPUT=templates.cpp -P EmbedTemplates.cmake: every *.json there as a string.
file(GLOB files "${FOLDER}/*.json")
set(rows "")
foreach(file IN LISTS files)
    cmake_path(GET file STEM name)
    file(READ "${file}" text)
    string(FIND "${text}" ")vtlsim_json\"" end_mark)
    if(NOT end_mark EQUAL -1)
        message(FATAL_ERROR "${file}: contains the end mark of the raw string it is to become")
    endif()
    string(APPEND rows "    {\"${name}\", R\"vtlsim_json(${text})vtlsim_json\"},\n")
endforeach()
file(WRITE "${OUTPUT}" "#include \"runner/templates.hpp\"

namespace vtlsim::runner {

const std::vector<Template>& templates() {
    static const std::vector<Template> all = {
${rows}    };
    return all;
}

}  // namespace vtlsim::runner
")
