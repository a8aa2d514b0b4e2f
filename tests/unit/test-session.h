/* SPDX-License-Identifier: MIT */
/* The parts of the program that tests voletd's sessions. */
#ifndef VOLET_TEST_SESSION_H
#define VOLET_TEST_SESSION_H

void test_grant_add(void);

#endif
