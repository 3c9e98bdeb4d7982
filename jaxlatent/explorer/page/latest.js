/**
 * Runs a question for the newest of what is asked: one is under way, one waits, those between are dropped.
 * @param {(value: any) => Promise<any>} question
 * @param {(answer: any, value: any) => void} answered
 * @param {(error: Error) => void} failed
 */
export function latest(question, answered, failed) {
  let waiting = null;
  let busy = false;
  async function work() {
    busy = true;
    while (waiting) {
      const { value } = waiting;
      waiting = null;
      try {
        const answer = await question(value);
        if (answer !== null) answered(answer, value);
      } catch (error) {
        if (!waiting) failed(error);
      }
    }
    busy = false;
  }
  return (value) => {
    waiting = { value };
    if (!busy) work();
  };
}
