# SPDX-License-Identifier: MIT
# Packages: cmake make gcc libc6-dev
# Wakes: none
# CMake configures, builds and tests a small project. It starts all programs through libuv, and ctest
# runs the tests in parallel.
. "${0%/*}/../common.sh"

mkdir project
for number in $(seq 12); do
	echo "int value$number(void) { return $number; }" >"project/value$number.c"
done
echo 'int value7(void); int main(int argc, char **argv) { return argc > 1 ? argv[1][0] - 48 : value7() != 7; }' \
	>project/main.c
cat >project/CMakeLists.txt <<'TEXT'
cmake_minimum_required(VERSION 3.20)
project(Small C)
file(GLOB values value*.c)
add_library(values STATIC ${values})
add_executable(small main.c)
target_link_libraries(small values)
foreach(number RANGE 1 20)
	execute_process(COMMAND sh -c "echo ${number}; exit ${number}" COMMAND cat
		OUTPUT_VARIABLE said RESULTS_VARIABLE results)
	string(STRIP "${said}" said)
	message(STATUS "said ${said}, results ${results}")
endforeach()
execute_process(COMMAND sleep 20 TIMEOUT 0.1 RESULT_VARIABLE result)
message(STATUS "${result}")
add_custom_target(copied ALL COMMAND ${CMAKE_COMMAND} -E copy ${CMAKE_CURRENT_SOURCE_DIR}/main.c copy.c)
enable_testing()
foreach(number RANGE 1 20)
	add_test(NAME passes${number} COMMAND small)
endforeach()
add_test(NAME fails COMMAND small 3)
add_test(NAME slow COMMAND sleep 20)
set_tests_properties(slow PROPERTIES TIMEOUT 1)
TEXT

# shellcheck disable=SC2086 # $RUN is a command
try() {
	status=0
	$RUN "$@" >said 2>&1 || status=$?
	# Parallel steps end in any order and after any time.
	grep -v -e '^ringwake-uv:' -e '^Total Test time' -e 'Start  *[0-9]' said |
		sed 's/ \.*  *[0-9.]* sec.*$//; s/([0-9.]*s)//; s/^ *[0-9]*\/[0-9]* //; s/^\[ *[0-9]*%\] //' | sort
	figures said
	echo "${1##*/}: exit status $status"
}

try cmake -S project -B build
try cmake --build build --parallel 4
try ctest --test-dir build --parallel 8
