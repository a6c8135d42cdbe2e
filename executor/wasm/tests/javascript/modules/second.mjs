export const named = 'n'; export default function foo() {}; export let counter = 0; export class K {}
