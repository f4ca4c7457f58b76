# cmake -D INPUT=x.asm -D OUTPUT=x.asm.cpp -D NAME=x -P EmbedAsm.cmake
file(READ "${INPUT}" text)
string(FIND "${text}" ")vtlsim_asm\"" end_mark)
if(NOT end_mark EQUAL -1)
    message(FATAL_ERROR "${INPUT}: contains the end mark of the raw string it is to become")
endif()
file(WRITE "${OUTPUT}" "#include \"model/asm_text.hpp\"

namespace vtlsim::model::asm_text {

constinit const std::string_view ${NAME} = R\"vtlsim_asm(${text})vtlsim_asm\";

}  // namespace vtlsim::model::asm_text
")
